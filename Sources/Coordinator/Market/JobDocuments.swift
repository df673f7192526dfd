import Clocks
import JSON
import Marketplace
import Wire

extension Market {
  /// Documents of jobs as they stand now: rows, progress from memory, reasons from the fleet.
  func documents(_ jobs: [Job]) -> [JSONValue] {
    let quotes = Quotes(market: self)
    let now = clock.now
    return jobs.map { job in
      let job = progress.overlay(job)
      var context = JobContext()
      context.now = now
      if job.state == .pending { context.pendingReason = quotes.pendingReason(job)?.json }
      if !job.state.isTerminal {
        let estimate = quotes.context(job.specification)
        context.estimatedCost = estimate.estimatedCost
        context.estimatedSeconds = estimate.estimatedSeconds
      }
      context.estimatedCompletion = ProgressBoard.estimate(job, at: now)
      return job.document(context)
    }
  }

  /// One job's document, with its place in the queue.
  func document(_ job: Job, queuePosition: Int?) -> JSONValue {
    guard var object = documents([job]).first?.object else { return .null }
    if let queuePosition { object["queue_position"] = .integer(Int64(queuePosition)) }
    return .object(object)
  }
}
