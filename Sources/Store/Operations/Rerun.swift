public import Marketplace

/// Runs a job's specification once more: a new job, the next attempt of its chain. Strictness does not hold it back,
/// and it uses up no unlock.
public struct Rerun: Sendable {
  /// Any attempt of the chain.
  public var source: JobID
  public var account: AccountID
  public var reason: String?
  /// The new job's id.
  public var newID: JobID
  public var now: Timestamp
  /// Set when nobody could ever run it and its owner asked to fail at once.
  public var unschedulable: String?

  public init(
    source: JobID, account: AccountID, reason: String?, newID: JobID, now: Timestamp, unschedulable: String? = nil
  ) {
    self.unschedulable = unschedulable
    self.source = source
    self.account = account
    self.reason = reason
    self.newID = newID
    self.now = now
  }

  /// The new job. Throws ``MarketError``: not found (also for another account's job), attemptActive while the latest
  /// attempt of the chain has not ended, or quotaExceeded.
  public func run(in market: any MarketTransaction) throws -> Job {
    guard let owner = try market.account(account) else { throw MarketError.accountNotFound }
    guard let source = try market.job(source), source.account == account else { throw MarketError.jobNotFound }
    if !source.state.isTerminal { throw MarketError.attemptActive(source.id, source.state) }
    let attempt: Int
    var chain: JobID?
    if let key = source.specification.runKey {
      attempt = try next(key, source, in: market)
    } else {
      let root = source.chain ?? source.id
      attempt = try next(root, source, in: market)
      chain = root
    }
    let job = Job(
      id: newID, account: account, specification: source.specification, createdAt: now, attempt: attempt,
      rerunOf: source.id, rerunReason: reason, chain: chain)
    return try market.enqueue(job, of: owner, unschedulable: unschedulable, at: now)
  }

  private func next(_ key: String, _ source: Job, in market: any MarketTransaction) throws -> Int {
    var record =
      try market.runKey(account: account, key: key)
      ?? RunKeyRecord(
        account: account, key: key, specificationHash: source.specification.runKeyHash,
        isStrict: source.specification.isStrict, latestJob: source.id, lastAttempt: source.attempt)
    try checkEnded(record.latestJob, in: market)
    record.lastAttempt += 1
    record.latestJob = newID
    try market.save(record)
    return record.lastAttempt
  }

  private func next(_ root: JobID, _ source: Job, in market: any MarketTransaction) throws -> Int {
    var record =
      try market.rerunChain(root: root)
      ?? RerunChainRecord(root: root, latestJob: source.id, lastAttempt: source.attempt)
    try checkEnded(record.latestJob, in: market)
    record.lastAttempt += 1
    record.latestJob = newID
    try market.save(record)
    return record.lastAttempt
  }

  /// A job whose row is gone has ended.
  private func checkEnded(_ latest: JobID, in market: any MarketReader) throws {
    guard let job = try market.job(latest), !job.state.isTerminal else { return }
    throw MarketError.attemptActive(job.id, job.state)
  }
}

extension Job {
  /// The chain of attempts it belongs to.
  public var attempts: AttemptChain {
    specification.runKey.map { .runKey($0, of: account) } ?? .reruns(of: chain ?? id)
  }
}
