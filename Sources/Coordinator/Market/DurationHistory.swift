import Marketplace
import Store
import Synchronization

/// How long jobs of one kind took lately: an exponential mean by requirements. In memory; ``HistoryWriter`` keeps it.
final class DurationHistory: Sendable {
  private struct State {
    /// Milliseconds.
    var means: [Requirements: Double] = [:]
    var changed: Set<Requirements> = []
  }

  private let state = Mutex(State())
  /// Kinds remembered at most; beyond, memory starts anew.
  private static let limit = 10_000

  /// Takes what an earlier run of the coordinator had learned.
  func load(_ runTimes: [RunTime]) {
    state.withLock { state in
      for known in runTimes.prefix(Self.limit) {
        state.means[known.requirements] = Double(known.mean.milliseconds)
      }
    }
  }

  func record(_ job: Job) {
    guard job.state == .completed, let started = job.startedAt, let ended = job.completedAt else { return }
    let taken = Double(max(0, ended.millisecondsSince(started)))
    let kind = Requirements(of: job.specification)
    state.withLock { state in
      if state.means.count >= Self.limit, state.means[kind] == nil { state.means = [:] }
      state.means[kind] = state.means[kind].map { $0 * 0.8 + taken * 0.2 } ?? taken
      state.changed.insert(kind)
    }
  }

  /// What changed since the last call.
  func takeChanged() -> [RunTime] {
    state.withLock { state in
      defer { state.changed = [] }
      return state.changed.compactMap { kind in
        state.means[kind].map { RunTime(requirements: kind, mean: Seconds(milliseconds: Int64($0))) }
      }
    }
  }

  /// Nil when this kind never ran.
  func mean(_ specification: JobSpecification) -> Seconds? {
    let mean = state.withLock { $0.means[Requirements(of: specification)] }
    return mean.map { Seconds(milliseconds: min(specification.timeout.milliseconds, Int64($0))) }
  }

  /// Whole seconds, rounded up; the job's time-out when its kind never ran.
  func estimate(_ specification: JobSpecification) -> Int64 {
    mean(specification).map { ($0.milliseconds + 999) / 1000 } ?? specification.timeout.whole
  }
}
