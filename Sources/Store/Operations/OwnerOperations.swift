public import Marketplace

/// The owner wants a job stopped.
public struct Cancellation: Sendable {
  public var job: JobID
  public var account: AccountID
  public var reason: String?
  public var grace: Seconds
  public var now: Timestamp

  public init(job: JobID, account: AccountID, reason: String?, grace: Seconds, now: Timestamp) {
    self.job = job
    self.account = account
    self.reason = reason
    self.grace = grace
    self.now = now
  }

  public struct Outcome: Hashable, Sendable {
    public var job: Job
    /// The lease hash of the try that must stop; nil when no miner has the job.
    public var leaseHash: String?
    /// It was being canceled before.
    public var wasCanceling: Bool
  }

  /// Throws ``MarketError``: not found (also for another account's job), or refused when it has ended.
  public func run(in market: any MarketTransaction) throws -> Outcome {
    guard let job = try market.job(job), job.account == account else { throw MarketError.jobNotFound }
    let changed = try market.change(job, at: now) { job throws(TransitionRefused) in
      _ = try job.requestCancel(reason: reason, grace: grace, at: now)
    }
    let attempt = changed.state == .canceling ? try market.tryRecord(of: job.id, number: job.lastTry) : nil
    return Outcome(job: changed, leaseHash: attempt?.leaseHash, wasCanceling: job.state == .canceling)
  }
}

/// Ends pending jobs whose time to live is over.
public struct ExpirySweep: Sendable {
  public var now: Timestamp
  public var limit: Int

  public init(now: Timestamp, limit: Int) {
    self.now = now
    self.limit = limit
  }

  /// The jobs that expired; as many as `limit` means that there may be more.
  public func run(in market: any MarketTransaction) throws -> [Job] {
    try market.expiring(at: now, limit: limit).map { job in
      try market.change(job, at: now) { job throws(TransitionRefused) in try job.expire(at: now) }
    }
  }
}
