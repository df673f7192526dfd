import Cryptography
public import Marketplace

/// What a run key says about a submission: which job answers it, or which attempt it becomes.
struct RunKeyLink {
  /// This job answers the submission; nothing new is made.
  private(set) var existing: Job?
  private(set) var attempt = 1
  private(set) var previous: JobID?
  private(set) var reason: String?
  private(set) var usedUnlock = false
  /// The key's row after the submission.
  private(set) var record: RunKeyRecord?

  /// Nil when the specification has no run key. Throws ``MarketError``.
  init?(for submission: Submission, in market: any MarketReader) throws {
    guard let key = submission.specification.runKey else { return nil }
    let hash = submission.specification.runKeyHash
    guard let known = try market.runKey(account: submission.account, key: key) else {
      record = RunKeyRecord(
        account: submission.account, key: key, specificationHash: hash, isStrict: submission.specification.isStrict,
        latestJob: submission.newID, lastAttempt: 1)
      return
    }
    guard known.specificationHash == hash else { throw MarketError.runKeyMismatch(existing: known.latestJob) }
    try follow(known, latest: try market.job(known.latestJob), submission: submission)
  }

  /// `latest` is nil when the row of that job is gone: the key outlives it, with its strictness and its count.
  private mutating func follow(_ known: RunKeyRecord, latest: Job?, submission: Submission) throws(MarketError) {
    var known = known
    known.isStrict = known.isStrict || submission.specification.isStrict
    let isUnlocked = known.validUnlock(at: submission.now) != nil
    let isActive = latest.map { !$0.state.isTerminal } ?? false
    if isActive || (known.isStrict && !isUnlocked) {
      guard let latest else { throw MarketError.runKeySpent(by: known.latestJob) }
      existing = latest
      record = known
      return
    }
    if known.isStrict, let unlock = known.unlock {
      usedUnlock = true
      reason = unlock.reason
      known.unlock = nil
    }
    previous = known.latestJob
    known.lastAttempt += 1
    known.latestJob = submission.newID
    attempt = known.lastAttempt
    record = known
  }
}

extension JobSpecification {
  /// What a run key stands for: everything but whether it was asked for strictly. Lower-case hex SHA-256.
  var runKeyHash: String {
    var identity = self
    identity.isStrict = false
    return SHA256.hash(identity.canonical).hex
  }
}

extension RunKeyRecord {
  /// The leave for one more run, while it lasts.
  public func validUnlock(at now: Timestamp) -> RunKeyUnlock? {
    unlock.flatMap { unlock in unlock.expiresAt.map { now < $0 } ?? true ? unlock : nil }
  }
}
