/// What can happen to a job.
public enum JobInput: String, CaseIterable, Hashable, Sendable {
  /// A miner takes it from the queue.
  case claim
  /// Its program was started.
  case start
  /// Its program ended well and all it left has arrived.
  case complete
  /// It ended badly, and there will be no other try.
  case fail
  /// The try was lost, refused or failed in a way that another may mend, and tries are left.
  case requeue
  /// The owner wants it stopped.
  case requestCancel
  /// No process of it exists any more.
  case confirmCancel
  /// Its time in the queue is over.
  case expire
  /// The last try was lost.
  case lose
}

/// The one state machine of a job. Pure and total: every state × every input has an answer, and no other code changes
/// a state.
public enum JobTransition {
  /// The state after `input`, or nil when the state forbids it. Asking to cancel what is being canceled is allowed
  /// and changes nothing.
  public static func next(_ state: JobState, _ input: JobInput) -> JobState? {
    switch (state, input) {
    case (.pending, .claim): .assigned
    case (.pending, .requestCancel): .canceled
    case (.pending, .expire): .expired
    case (.pending, .fail): .failed

    case (.assigned, .start): .running
    case (.assigned, .requeue): .pending
    case (.assigned, .requestCancel): .canceling
    case (.assigned, .fail): .failed
    case (.assigned, .expire): .expired
    case (.assigned, .lose): .lost

    case (.running, .complete): .completed
    case (.running, .fail): .failed
    case (.running, .requestCancel): .canceling
    case (.running, .requeue): .pending
    case (.running, .lose): .lost

    case (.canceling, .requestCancel): .canceling
    case (.canceling, .confirmCancel): .canceled
    case (.canceling, .complete): .completed
    case (.canceling, .fail): .failed

    default: nil
    }
  }
}

/// A change that the job's state forbids. Nothing was changed.
public struct TransitionRefused: Error, Hashable, Sendable, CustomStringConvertible {
  public let state: JobState
  public let input: JobInput

  public init(state: JobState, input: JobInput) {
    self.state = state
    self.input = input
  }

  public var description: String { "a job that is \(state.rawValue) can't \(Self.words[input] ?? input.rawValue)" }

  private static let words: [JobInput: String] = [
    .claim: "be assigned", .start: "be started", .complete: "be completed", .fail: "be failed",
    .requeue: "go back to the queue", .requestCancel: "be canceled", .confirmCancel: "be canceled",
    .expire: "expire", .lose: "be lost",
  ]
}
