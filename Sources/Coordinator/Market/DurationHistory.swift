import Marketplace
import Synchronization

/// How long jobs of one kind took lately: an exponential mean by requirements, in memory.
final class DurationHistory: Sendable {
  private let means = Mutex<[Requirements: Double]>([:])
  /// Kinds remembered at most; beyond, memory starts anew.
  private static let limit = 10_000

  func record(_ job: Job) {
    guard job.state == .completed, let started = job.startedAt, let ended = job.completedAt else { return }
    let taken = Double(max(0, ended.millisecondsSince(started)))
    means.withLock { means in
      if means.count >= Self.limit { means = [:] }
      let kind = Requirements(of: job.specification)
      means[kind] = means[kind].map { $0 * 0.8 + taken * 0.2 } ?? taken
    }
  }

  /// Whole seconds, rounded up; the job's time-out when its kind never ran.
  func estimate(_ specification: JobSpecification) -> Int64 {
    let mean = means.withLock { $0[Requirements(of: specification)] }
    let limit = specification.timeout.whole
    return mean.map { min(limit, Int64(($0 / 1000).rounded(.up))) } ?? limit
  }
}
