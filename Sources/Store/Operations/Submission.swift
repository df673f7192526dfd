public import Marketplace

/// Puts one job into the market. Idempotency key, run key, job and event become durable together.
public struct Submission: Sendable {
  public var account: AccountID
  public var specification: JobSpecification
  /// The new job's id, made by the caller so that the operation has no randomness of its own.
  public var newID: JobID
  public var now: Timestamp
  /// Set when nobody registered could ever run it and its owner asked to fail at once.
  public var unschedulable: String?

  public init(
    account: AccountID, specification: JobSpecification, newID: JobID, now: Timestamp, unschedulable: String? = nil
  ) {
    self.account = account
    self.specification = specification
    self.newID = newID
    self.now = now
    self.unschedulable = unschedulable
  }

  public struct Outcome: Hashable, Sendable {
    public var job: Job
    /// The job was there before: its run key matched.
    public var isExisting: Bool
    /// A strict key's unlock was used up by it.
    public var usedUnlock: Bool
  }

  /// Throws ``MarketError``.
  public func run(in market: any MarketTransaction) throws -> Outcome {
    guard let owner = try market.account(account) else { throw MarketError.accountNotFound }
    let link = try RunKeyLink(for: self, in: market)
    if let existing = link?.existing {
      if let record = link?.record { try market.save(record) }
      return Outcome(job: existing, isExisting: true, usedUnlock: false)
    }
    var job = Job(
      id: newID, account: account, specification: specification, createdAt: now,
      attempt: link?.attempt ?? 1, rerunOf: link?.previous, rerunReason: link?.reason)
    job = try market.enqueue(job, of: owner, unschedulable: unschedulable, at: now)
    if let record = link?.record { try market.save(record) }
    return Outcome(job: job, isExisting: false, usedUnlock: link?.usedUnlock ?? false)
  }
}

extension MarketTransaction {
  /// Gives a new job its place in the queue and stores it with its first event; it ends at once with `unschedulable`.
  /// Throws ``MarketError``: quotaExceeded or inputsMissing.
  func enqueue(_ new: Job, of account: Account, unschedulable: String?, at now: Timestamp) throws -> Job {
    try checkQuota(of: account)
    try checkInputs(of: new.specification)
    var (job, owner) = (new, account)
    let place = FairQueue.place(
      priority: job.priority, weight: owner.plan.weight, virtualTime: try virtualTime(), finish: owner.virtualFinish)
    job.rank = place.rank
    owner.virtualFinish = place.finish
    try save(owner)
    try insert(job)
    try append(JobEvent(of: job, at: now))
    guard let unschedulable else { return job }
    return try change(job, at: now) { job throws(TransitionRefused) in
      try job.rejectUnschedulable(unschedulable, at: now)
    }
  }
}

extension MarketReader {
  /// Whether an account may have one job more. Throws ``MarketError``.
  public func checkQuota(of account: Account) throws {
    let fault = account.plan.fault(
      activeJobs: try activeCount(account: account.id), storedBytes: try totals(account: account.id).stored)
    if let fault { throw MarketError.quotaExceeded(fault) }
  }

  /// Whether all inputs are here; in the transaction that needs them, so that none is collected in between. Throws
  /// ``MarketError/inputsMissing(_:)``.
  public func checkInputs(of specification: JobSpecification) throws {
    let missing = try specification.inputs.filter { try blob($0.sha256) == nil }
    guard missing.isEmpty else { throw MarketError.inputsMissing(missing.map(\.sha256)) }
  }
}
