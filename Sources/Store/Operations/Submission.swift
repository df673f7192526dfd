import Cryptography
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
    guard var owner = try market.account(account) else { throw MarketError.accountNotFound }
    let link = try RunKeyLink(for: self, in: market)
    if let existing = link?.existing {
      if let record = link?.record { try market.save(record) }
      return Outcome(job: existing, isExisting: true, usedUnlock: false)
    }
    try market.checkQuota(of: owner)
    try market.checkInputs(of: specification)
    var job = Job(
      id: newID, account: account, specification: specification, createdAt: now,
      attempt: link?.attempt ?? 1, rerunOf: link?.previous, rerunReason: link?.reason)
    let place = FairQueue.place(
      priority: specification.priority, weight: owner.plan.weight, virtualTime: try market.virtualTime(),
      finish: owner.virtualFinish)
    job.rank = place.rank
    owner.virtualFinish = place.finish
    try market.save(owner)
    try market.insert(job)
    try market.append(JobEvent(of: job, at: now))
    if let record = link?.record { try market.save(record) }
    if let unschedulable {
      job = try market.change(job, at: now) { job throws(TransitionRefused) in
        try job.rejectUnschedulable(unschedulable, at: now)
      }
    }
    return Outcome(job: job, isExisting: false, usedUnlock: link?.usedUnlock ?? false)
  }
}

/// What a run key says about a submission: which job answers it, or which attempt it becomes.
private struct RunKeyLink {
  /// This job answers the submission; nothing new is made.
  var existing: Job?
  var attempt = 1
  var previous: JobID?
  var reason: String?
  var usedUnlock = false
  /// The key's row after the submission.
  var record: RunKeyRecord?

  /// Nil when the specification has no run key.
  init?(for submission: Submission, in market: any MarketTransaction) throws {
    guard let key = submission.specification.runKey else { return nil }
    // The key's other properties are not part of what it stands for.
    var identity = submission.specification
    identity.isStrict = false
    let hash = SHA256.hash(identity.canonical).hex
    guard let known = try market.runKey(account: submission.account, key: key) else {
      record = RunKeyRecord(
        account: submission.account, key: key, specificationHash: hash, isStrict: submission.specification.isStrict,
        latestJob: submission.newID, lastAttempt: 1)
      return
    }
    guard known.specificationHash == hash else { throw MarketError.runKeyMismatch(existing: known.latestJob) }
    guard let latest = try market.job(known.latestJob) else { throw MarketError.jobNotFound }
    try follow(known, latest: latest, submission: submission)
  }

  private mutating func follow(_ known: RunKeyRecord, latest: Job, submission: Submission) throws {
    var known = known
    known.isStrict = known.isStrict || submission.specification.isStrict
    let isUnlocked = known.unlock.map { unlock in unlock.expiresAt.map { submission.now < $0 } ?? true } ?? false
    if !latest.state.isTerminal || (known.isStrict && !isUnlocked) {
      existing = latest
      record = known
      return
    }
    if known.isStrict, let unlock = known.unlock {
      usedUnlock = true
      reason = unlock.reason
      known.unlock = nil
    }
    previous = latest.id
    known.lastAttempt += 1
    known.latestJob = submission.newID
    attempt = known.lastAttempt
    record = known
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
