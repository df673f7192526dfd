public import Marketplace

/// Results go in three steps, so that a crash between any two leaves no file without a row's word and no row that
/// promises what is not there:
///
/// 1. the job's row says that its results are gone (``MarkPurged``, ``RetentionSweep``): from this commit on every read
///    answers 410, and the job stands on the list of purges;
/// 2. the files are removed (`FileStore.removeFiles(of:)`), which may be repeated;
/// 3. what the database knew of them is removed, and the job leaves the list (``ForgetPurged``).
public struct MarkPurged: Sendable {
  public var jobs: [JobID]
  public var account: AccountID
  public var now: Timestamp

  public init(jobs: [JobID], account: AccountID, now: Timestamp) {
    self.jobs = jobs
    self.account = account
    self.now = now
  }

  /// The jobs whose results went with this; those that were gone are passed over. Throws ``MarketError``: not found
  /// (also for another account's job), ``MarketError/notFinished(_:)`` for one that is active.
  public func run(in market: any MarketTransaction) throws -> [Job] {
    try jobs.compactMap { id in
      guard let job = try market.job(id), job.account == account else { throw MarketError.jobNotFound }
      guard job.state.isTerminal else { throw MarketError.notFinished(job.state) }
      return try market.markPurged(job, at: now)
    }
  }
}

/// Marks jobs whose results' time is over.
public struct RetentionSweep: Sendable {
  public var now: Timestamp
  public var limit: Int

  public init(now: Timestamp, limit: Int) {
    self.now = now
    self.limit = limit
  }

  /// The jobs that were marked; as many as `limit` means that there may be more.
  public func run(in market: any MarketTransaction) throws -> [Job] {
    try market.retentionDue(at: now, limit: limit).compactMap { try market.markPurged($0, at: now) }
  }
}

/// Takes the last step for a job whose files are removed.
public struct ForgetPurged: Sendable {
  public var job: JobID
  /// Artifacts to forget at once.
  public var limit: Int

  public init(job: JobID, limit: Int = 1_000) {
    self.job = job
    self.limit = limit
  }

  /// Whether nothing is left; else run it again.
  public func run(in market: any MarketTransaction) throws -> Bool {
    guard try market.isPurging(job) else { return true }
    guard try market.removeArtifacts(of: job, limit: limit) < limit else { return false }
    try market.removePackage(of: job)
    try market.removeInputs(of: job)
    try market.removePurge(job)
    return true
  }
}

extension MarketTransaction {
  /// Nil when the results were gone already.
  fileprivate func markPurged(_ job: Job, at now: Timestamp) throws -> Job? {
    guard job.resultPurgedAt == nil else { return nil }
    var job = job
    job.purgeResult(at: now)
    try update(job)
    try insertPurge(job.id)
    return job
  }
}
