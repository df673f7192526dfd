public import JSON

/// The changing part of a job as a row holds it; only the store makes one.
public struct JobRecord: Hashable, Sendable {
  public var state: JobState
  public var expiresAt: Timestamp
  public var availableAt: Timestamp
  public var rank: Int64
  /// Nil: the specification's.
  public var priority: Priority?
  public var lastTry: Int
  public var triesUsed: Int
  public var miner: MinerID?
  public var assignedAt: Timestamp?
  public var startedAt: Timestamp?
  public var completedAt: Timestamp?
  public var progress: Int
  public var progressMessage: String?
  public var cancel: CancelRequest?
  public var error: JobError?
  public var exitCode: Int?
  public var result: JSONValue?
  public var cost: Money
  public var resultExpiresAt: Timestamp?
  public var resultPurgedAt: Timestamp?

  public init(
    state: JobState, expiresAt: Timestamp, availableAt: Timestamp, rank: Int64, lastTry: Int, triesUsed: Int,
    progress: Int, cost: Money
  ) {
    self.state = state
    self.expiresAt = expiresAt
    self.availableAt = availableAt
    self.rank = rank
    self.lastTry = lastTry
    self.triesUsed = triesUsed
    self.progress = progress
    self.cost = cost
  }
}

extension Job {
  /// A job read back from its row.
  public init(restoring new: Job, from record: JobRecord) {
    self = new
    state = record.state
    expiresAt = record.expiresAt
    availableAt = record.availableAt
    rank = record.rank
    priority = record.priority ?? specification.priority
    lastTry = record.lastTry
    triesUsed = record.triesUsed
    miner = record.miner
    assignedAt = record.assignedAt
    startedAt = record.startedAt
    completedAt = record.completedAt
    progress = record.progress
    progressMessage = record.progressMessage
    cancel = record.cancel
    error = record.error
    exitCode = record.exitCode
    result = record.result
    cost = record.cost
    resultExpiresAt = record.resultExpiresAt
    resultPurgedAt = record.resultPurgedAt
  }
}
