/// Where a job stands. The words are the contract's `status`.
public enum JobState: String, CaseIterable, Hashable, Sendable {
  /// Waits for a miner.
  case pending
  /// A miner holds its lease and prepares it.
  case assigned
  /// Its program runs.
  case running
  /// Asked to stop; its program may still run.
  case canceling
  case completed
  case failed
  case canceled
  /// The queue TTL passed before it ran.
  case expired
  /// Every try was lost.
  case lost
  /// Reserved for task graphs; no job enters it yet.
  case skipped

  /// Terminal states never change.
  public var isTerminal: Bool {
    switch self {
    case .pending, .assigned, .running, .canceling: false
    case .completed, .failed, .canceled, .expired, .lost, .skipped: true
    }
  }

  /// A miner holds a lease on it.
  public var isHeld: Bool { self == .assigned || self == .running || self == .canceling }

  /// AITBC's word for old clients (`state`).
  public var aitbcWord: String {
    switch self {
    case .pending: "QUEUED"
    case .assigned, .running, .canceling: "RUNNING"
    case .completed: "COMPLETED"
    case .failed, .lost: "FAILED"
    case .canceled: "CANCELED"
    case .expired: "EXPIRED"
    case .skipped: "SKIPPED"
    }
  }
}

extension JobState {
  /// The states a filter word means, in any case: our words and those of the systems our users come from.
  /// Nil for an unknown word, which is an error for the caller to name, never an empty answer.
  public static func matching(_ word: some StringProtocol) -> Set<JobState>? { synonyms[word.lowercased()] }

  /// Every word that ``matching(_:)`` takes, sorted, for help and errors.
  public static var filterWords: [String] { synonyms.keys.sorted() }

  private static let synonyms: [String: Set<JobState>] = [
    "pending": [.pending], "queued": [.pending], "blocked": [.pending], "waiting": [.pending],
    "assigned": [.assigned], "starting": [.assigned], "claimed": [.assigned],
    "running": [.running], "uploading": [.running],
    "canceling": [.canceling], "cancelling": [.canceling],
    "completed": [.completed], "succeeded": [.completed], "success": [.completed], "done": [.completed],
    "failed": [.failed], "internal_error": [.failed, .lost], "timed_out": [.failed],
    "canceled": [.canceled], "cancelled": [.canceled], "aborted": [.canceled], "upstream_canceled": [.canceled],
    "expired": [.expired],
    "lost": [.lost], "agent offline": [.lost],
    "skipped": [.skipped], "excluded": [.skipped], "upstream_failed": [.skipped],
    "active": [.pending, .assigned, .running, .canceling],
    "terminal": [.completed, .failed, .canceled, .expired, .lost, .skipped],
    "finished": [.completed, .failed, .canceled, .expired, .lost, .skipped],
  ]
}
