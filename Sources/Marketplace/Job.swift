public import JSON

/// A submission and what became of it. Changed only by the methods of `Job+Transitions`.
public struct Job: Hashable, Sendable {
  public let id: JobID
  public let account: AccountID
  public let specification: JobSpecification
  public let createdAt: Timestamp
  /// 1 for a first submission; higher in a chain of reruns.
  public let attempt: Int
  public let rerunOf: JobID?
  public let rerunReason: String?
  /// The first job of its chain of reruns. Nil for a first submission, and with a run key, which names the chain.
  public let chain: JobID?

  public internal(set) var state: JobState
  /// When it expires if it still waits.
  public internal(set) var expiresAt: Timestamp
  /// Not claimed before then: `not_before`, or the back-off after a try.
  public internal(set) var availableAt: Timestamp
  /// Its place in the queue; smaller goes first.
  public var rank: Int64
  /// The specification's at first; its owner may change it while the job waits. Decides on place and price.
  public internal(set) var priority: Priority
  /// The number of the latest try; 0 before the first.
  public internal(set) var lastTry: Int
  /// How many tries count against `max_tries`; refused and drained ones do not.
  public internal(set) var triesUsed: Int
  /// Who has it, or had it last.
  public internal(set) var miner: MinerID?
  public internal(set) var assignedAt: Timestamp?
  /// Start of the latest try; nil until it starts, and again while the job waits for another.
  public internal(set) var startedAt: Timestamp?
  public internal(set) var completedAt: Timestamp?
  /// 0–100; never falls within a try; 100 only when completed.
  public internal(set) var progress: Int
  public internal(set) var progressMessage: String?
  public internal(set) var cancel: CancelRequest?
  public internal(set) var error: JobError?
  public internal(set) var exitCode: Int?
  /// A small result the runner gave, as JSON. Files are artifacts.
  public internal(set) var result: JSONValue?
  public internal(set) var cost: Money
  /// When the result is removed; set at the end from the plan.
  public internal(set) var resultExpiresAt: Timestamp?
  public internal(set) var resultPurgedAt: Timestamp?

  /// A job as it enters the queue.
  public init(
    id: JobID, account: AccountID, specification: JobSpecification, createdAt: Timestamp, attempt: Int = 1,
    rerunOf: JobID? = nil, rerunReason: String? = nil, chain: JobID? = nil
  ) {
    self.id = id
    self.account = account
    self.specification = specification
    self.createdAt = createdAt
    self.attempt = attempt
    self.rerunOf = rerunOf
    self.rerunReason = rerunReason
    self.chain = chain
    state = .pending
    let availableAt = max(createdAt, specification.notBefore ?? createdAt)
    self.availableAt = availableAt
    // The time to live counts from when it could run: a job reserved for tomorrow does not expire today.
    expiresAt = availableAt + specification.timeToLive
    rank = createdAt.milliseconds
    priority = specification.priority
    lastTry = 0
    triesUsed = 0
    progress = 0
    cost = .zero
  }
}

/// A wish to stop a job, and what became of it.
public struct CancelRequest: Hashable, Sendable {
  public let requestedAt: Timestamp
  public let reason: String?
  /// Seconds between TERM and KILL.
  public var grace: Seconds
  public internal(set) var outcome: Outcome

  public enum Outcome: String, Hashable, Sendable {
    case pending
    case canceled
    /// It had finished before the miner could obey.
    case tooLate = "too_late"
    /// It ended badly by itself meanwhile.
    case failed
  }

  public init(requestedAt: Timestamp, reason: String?, grace: Seconds, outcome: Outcome = .pending) {
    self.requestedAt = requestedAt
    self.reason = reason
    self.grace = grace
    self.outcome = outcome
  }

  /// Default 5 s.
  public static let defaultGrace = Seconds(5)
  public static let longestGrace = Seconds(3600)
}
