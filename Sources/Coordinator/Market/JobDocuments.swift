import Clocks
import JSON
import Marketplace
import Store
import Wire

extension Market {
  /// Documents of jobs as they stand now: rows, progress from memory, reasons from the fleet.
  func documents(_ jobs: [Job], positions: [JobID: QueuePosition] = [:]) -> [JSONValue] {
    let quotes = Quotes(market: self)
    let now = clock.now
    return jobs.map { job in
      let job = progress.overlay(job)
      var context = JobContext()
      context.now = now
      if job.state == .pending { context.pendingReason = quotes.pendingReason(job)?.json }
      if !job.state.isTerminal {
        let estimate = quotes.context(job.specification, priority: job.priority)
        context.estimatedCost = estimate.estimatedCost
        context.estimatedSeconds = estimate.estimatedSeconds
      }
      context.estimatedCompletion = ProgressBoard.estimate(job, at: now) ?? quotes.completion(of: job)
      if let position = positions[job.id] {
        context.take(position)
        context.estimatedStart = quotes.start(of: job, position)
        context.estimatedCompletion = context.estimatedStart.flatMap { quotes.completion(of: job, from: $0) }
      }
      return job.document(context)
    }
  }

  /// One job's document, with its place in the queue.
  func document(_ job: Job, queuePosition: QueuePosition? = nil) -> JSONValue {
    documents([job], positions: queuePosition.map { [job.id: $0] } ?? [:]).first ?? .null
  }
}

extension JobContext {
  mutating func take(_ position: QueuePosition) {
    // 1 is the next.
    queuePosition = position.before + 1
    isQueuePositionMinimum = position.isMinimum
  }
}
