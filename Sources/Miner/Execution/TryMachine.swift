import Marketplace

/// The life of one try at the miner, as a value: one event in, what to do out.
///
///     preparing ──▶ running ──▶ collecting ──▶ reporting ──▶ finished
///
/// Each of these may be told to stop; the first three then end sooner, and what is reported differs. Only a lease
/// that the coordinator itself calls lost is never reported: somebody else's answer counts by then.
struct TryMachine: Hashable, Sendable {
  /// Why it is to end before its time. A later reason replaces an earlier one only when it is stronger.
  enum Stop: Int, Comparable, Hashable, Sendable, CaseIterable {
    /// The miner leaves.
    case leaving
    /// The lease could not be renewed in time.
    case fenced
    /// The user wants it ended.
    case canceled
    /// The lease is another's.
    case lost

    static func < (left: Stop, right: Stop) -> Bool { left.rawValue < right.rawValue }

    /// No reason is weaker than any.
    func isStronger(than other: Stop?) -> Bool { other.map { $0 < self } ?? true }
  }

  enum State: Hashable, Sendable {
    /// Folder and inputs are made ready.
    case preparing(Stop?)
    /// The runner has it.
    case running(Stop?)
    /// Artifacts are sent and log bytes too.
    case collecting(Stop?)
    /// The report waits for its answer.
    case reporting(Stop?)
    case finished
  }

  enum Event: Hashable, Sendable {
    case prepared
    case prepareFailed
    /// Nothing of the payload is left. `wasStopped`: it ended because it was told to.
    case ended(wasStopped: Bool)
    /// Everything that the report names has been sent, or can't be.
    case collected
    /// The coordinator has taken the report, or says that it may be forgotten.
    case settled
    /// The coordinator lacks something that the report names.
    case incomplete
    /// The report could not be made durable over there.
    case notSettled
    /// A connection stands again and the lease goes on.
    case resumed
    case cancel(grace: Seconds)
    case fence
    case leaseLost
    /// The miner takes nothing new: what has not started is given back, the rest goes on.
    case drain
    case leave(grace: Seconds)
  }

  enum Action: Hashable, Sendable {
    case none
    case launch
    /// End the phase that is under way: fetching or sending.
    case abort
    case terminate(grace: Seconds)
    case kill
    /// Say again that it has started.
    case announce
    /// Send logs, and artifacts where `artifacts` says so.
    case collect(artifacts: Bool)
    case report
    /// Give the assignment back: it never ran.
    case refuse
    /// Remove everything of it; nothing is said.
    case discard
  }

  /// How often a report may be called incomplete before the try is given up.
  static let maximumRepeats = 20

  private(set) var state = State.preparing(nil)
  private(set) var repeats = 0

  /// Why it was stopped, if it was.
  var stop: Stop? {
    switch state {
    case .preparing(let stop), .running(let stop), .collecting(let stop), .reporting(let stop): stop
    case .finished: nil
    }
  }

  mutating func handle(_ event: Event) -> Action {
    switch state {
    case .preparing(let stop): preparing(event, stop)
    case .running(let stop): running(event, stop)
    case .collecting(let stop): collecting(event, stop)
    case .reporting(let stop): reporting(event, stop)
    case .finished: .none
    }
  }

  private mutating func preparing(_ event: Event, _ stop: Stop?) -> Action {
    if let reason = event == .drain ? .leaving : event.stop {
      guard reason.isStronger(than: stop) else { return .none }
      state = .preparing(reason)
      return .abort
    }
    switch (event, stop) {
    case (.prepared, nil):
      state = .running(nil)
      return .launch
    case (.prepared, .lost), (.prepareFailed, .lost): return finish(.discard)
    case (.prepared, .leaving), (.prepareFailed, .leaving):
      state = .reporting(stop)
      return .refuse
    case (.prepared, _), (.prepareFailed, _):
      state = .reporting(stop)
      return .report
    default: return .none
    }
  }

  private mutating func running(_ event: Event, _ stop: Stop?) -> Action {
    if let reason = event.stop {
      // A second cancel may shorten the grace, and a fence kills whatever was agreed before.
      let isStronger = reason.isStronger(than: stop)
      state = .running(isStronger ? reason : stop)
      switch event {
      case .cancel(let grace): return isStronger || stop == .canceled ? .terminate(grace: grace) : .none
      case .leave(let grace): return isStronger ? .terminate(grace: grace) : .none
      default: return .kill
      }
    }
    switch (event, stop) {
    case (.ended, .lost): return finish(.discard)
    case (.ended(let wasStopped), _):
      state = .collecting(stop)
      // A canceled job keeps what there is; one that will be tried elsewhere begins anew.
      return .collect(artifacts: !(wasStopped && (stop == .fenced || stop == .leaving)))
    case (.resumed, _): return .announce
    default: return .none
    }
  }

  private mutating func collecting(_ event: Event, _ stop: Stop?) -> Action {
    switch (event, stop) {
    case (.leaseLost, _):
      state = .collecting(.lost)
      return stop == .lost ? .none : .abort
    case (.collected, .lost): return finish(.discard)
    case (.collected, _):
      state = .reporting(stop)
      return .report
    // No payload runs any more: a cancel comes too late, and a fence has nothing to stop.
    default: return .none
    }
  }

  private mutating func reporting(_ event: Event, _ stop: Stop?) -> Action {
    switch event {
    case .settled, .leaseLost: return finish(.discard)
    case .notSettled: return .report
    case .incomplete, .resumed:
      // The report follows what it names: over a new connection that is sent first.
      if event == .incomplete {
        repeats += 1
        guard repeats <= Self.maximumRepeats else { return finish(.discard) }
      }
      state = .collecting(stop)
      return .collect(artifacts: event == .incomplete)
    default: return .none
    }
  }

  private mutating func finish(_ action: Action) -> Action {
    state = .finished
    return action
  }
}

extension TryMachine.Event {
  /// The reason to stop that this event is.
  var stop: TryMachine.Stop? {
    switch self {
    case .cancel: .canceled
    case .fence: .fenced
    case .leaseLost: .lost
    case .leave: .leaving
    default: nil
    }
  }
}
