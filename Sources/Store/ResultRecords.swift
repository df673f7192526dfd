public import Marketplace

/// A link to one job's result. Whoever has the token may read it; the store knows the token's hash.
public struct ShareRecord: Hashable, Sendable {
  public let id: ShareID
  /// Lower-case hex SHA-256 of the token.
  public let tokenHash: String
  /// Makes the tags by which a download that was counted is known again, see ``ShareGrant``.
  public let grantSecret: [UInt8]
  public let job: JobID
  public let account: AccountID
  public let createdAt: Timestamp
  /// Over at and after this moment.
  public let expiresAt: Timestamp
  /// Nil: as many as anybody likes.
  public let maximumDownloads: Int64?
  public var downloads: Int64

  public init(
    id: ShareID, tokenHash: String, grantSecret: [UInt8], job: JobID, account: AccountID, createdAt: Timestamp,
    expiresAt: Timestamp, maximumDownloads: Int64?, downloads: Int64 = 0
  ) {
    self.id = id
    self.tokenHash = tokenHash
    self.grantSecret = grantSecret
    self.job = job
    self.account = account
    self.createdAt = createdAt
    self.expiresAt = expiresAt
    self.maximumDownloads = maximumDownloads
    self.downloads = downloads
  }

  public func isExpired(at now: Timestamp) -> Bool { now >= expiresAt }
  public var isUsedUp: Bool { maximumDownloads.map { downloads >= $0 } ?? false }
  /// Nil: no bound.
  public var downloadsLeft: Int64? { maximumDownloads.map { max(0, $0 - downloads) } }
}

/// A better plan's longer retention on its way into an account's results, step by step.
public struct RetentionExtension: Hashable, Sendable {
  public let key: Int64
  public let account: AccountID
  public let retention: Seconds
  /// Results of jobs that ended later have the new plan's time already.
  public let completedUntil: Timestamp
  /// Where the last step ended: the end of a job, and its row.
  public var completedAt: Timestamp
  public var job: Int64

  public init(
    key: Int64, account: AccountID, retention: Seconds, completedUntil: Timestamp, completedAt: Timestamp, job: Int64
  ) {
    self.key = key
    self.account = account
    self.retention = retention
    self.completedUntil = completedUntil
    self.completedAt = completedAt
    self.job = job
  }
}

/// Sums over an account's jobs that have ended.
public struct AccountTotals: Hashable, Sendable {
  /// Jobs that completed.
  public var completed: Int64
  /// Milliseconds from start to end, over those.
  public var runTime: Int64
  public var spent: Money
  /// Bytes of packages that are kept.
  public var stored: Int64

  public init(completed: Int64 = 0, runTime: Int64 = 0, spent: Money = .zero, stored: Int64 = 0) {
    self.completed = completed
    self.runTime = runTime
    self.spent = spent
    self.stored = stored
  }
}

/// Which finished jobs' results to remove; all that is named must hold.
public struct PurgeSelection: Hashable, Sendable {
  public var account: AccountID
  /// Ended before this moment, not at it.
  public var before: Timestamp?
  /// Ended at this moment or later.
  public var after: Timestamp?
  /// Empty: however they ended.
  public var states: Set<JobState> = []
  public var runKey: String?

  public init(account: AccountID) { self.account = account }
}
