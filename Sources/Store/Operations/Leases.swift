import Cryptography
public import JSON
public import Marketplace

/// A try that was just given to a miner.
public struct ClaimedTry: Hashable, Sendable {
  public var job: Job
  public var attempt: TryRecord
  /// The lease token itself; only its hash is stored.
  public var lease: String
}

/// Gives jobs to one miner.
public struct Claim: Sendable {
  public var miner: MinerID
  /// Requirement classes that the miner fits.
  public var classes: [Int64]
  /// One fresh secret for each job that may be claimed.
  public var leases: [String]
  public var now: Timestamp
  /// Jobs of one account that miners may hold at once. Nil: what its plan says.
  public var runningLimit: Int?

  public init(miner: MinerID, classes: [Int64], leases: [String], now: Timestamp, runningLimit: Int? = nil) {
    self.runningLimit = runningLimit
    self.miner = miner
    self.classes = classes
    self.leases = leases
    self.now = now
  }

  public struct Outcome: Hashable, Sendable {
    /// The jobs that are now the miner's, first in the queue first.
    public var claimed: [ClaimedTry] = []
    /// Jobs that were passed over because their accounts run as many as they may.
    public var heldBack: [JobID] = []
    /// Those accounts.
    public var fullAccounts: Set<AccountID> = []
  }

  /// The jobs that are now the miner's, first in the queue first.
  public func run(in market: any MarketTransaction) throws -> [ClaimedTry] { try outcome(in: market).claimed }

  /// Jobs that one claim passes over at most; the next one goes on.
  static let holdBackLimit = 1_000

  public func outcome(in market: any MarketTransaction) throws -> Outcome {
    var outcome = Outcome()
    guard !classes.isEmpty, !leases.isEmpty else { return outcome }
    // Removed or drained since the caller looked: it gets nothing.
    guard let record = try market.miner(miner), !record.isDraining else { return outcome }
    let price = record.offer.effectivePrice
    var virtualTime = try market.virtualTime()
    var room: [AccountID: Int] = [:]
    while outcome.claimed.count < leases.count, outcome.heldBack.count < Self.holdBackLimit {
      var passed: [JobID] = []
      for job in try market.claimable(classes: classes, limit: leases.count - outcome.claimed.count) {
        let left = try room[job.account] ?? self.room(of: job.account, in: market)
        room[job.account] = left - 1
        guard left > 0 else {
          passed.append(job.id)
          outcome.fullAccounts.insert(job.account)
          continue
        }
        outcome.claimed.append(try claim(job, lease: leases[outcome.claimed.count], price: price, in: market))
        virtualTime = FairQueue.advance(virtualTime, claimed: job.rank, priority: job.priority)
      }
      guard !passed.isEmpty else { break }
      try market.holdBack(passed)
      outcome.heldBack += passed
    }
    if !outcome.claimed.isEmpty { try market.setVirtualTime(virtualTime) }
    return outcome
  }

  private func claim(
    _ job: Job, lease: String, price: Money, in market: any MarketTransaction
  ) throws -> ClaimedTry {
    let held = try market.change(job, at: now) { job throws(TransitionRefused) in
      try job.claim(by: miner, at: now)
    }
    let attempt = TryRecord(
      job: job.id, number: held.lastTry, miner: miner, leaseHash: LeaseToken.hash(lease), claimedAt: now,
      price: price)
    try market.insert(attempt)
    return ClaimedTry(job: held, attempt: attempt, lease: lease)
  }

  private func room(of account: AccountID, in market: any MarketReader) throws -> Int {
    try market.runningRoom(of: account, limit: runningLimit)
  }
}

/// Lease tokens: 256 random bits; the store knows their hashes.
public enum LeaseToken {
  public static func make() -> String { secureToken(prefix: "lt_") }
  public static func hash(_ token: String) -> String { SHA256.hash(token.utf8).hex }
}

extension MarketReader {
  /// The live try that a lease token stands for. Throws ``MarketError/staleLease`` for every other token, and when
  /// the try is another miner's.
  public func liveTry(leaseHash: String, of miner: MinerID?) throws -> (attempt: TryRecord, job: Job) {
    guard let attempt = try tryRecord(leaseHash: leaseHash), attempt.state == .held,
      miner == nil || attempt.miner == miner
    else { throw MarketError.staleLease }
    guard let job = try job(attempt.job) else { throw MarketError.jobNotFound }
    return (attempt, job)
  }
}

/// The program of a try was started.
public struct StartTry: Sendable {
  public var leaseHash: String
  public var miner: MinerID
  public var now: Timestamp

  public init(leaseHash: String, miner: MinerID, now: Timestamp) {
    self.leaseHash = leaseHash
    self.miner = miner
    self.now = now
  }

  /// Repeating it changes nothing, so a miner may say it again after a reconnect.
  public func run(in market: any MarketTransaction) throws -> Job {
    var (attempt, job) = try market.liveTry(leaseHash: leaseHash, of: miner)
    guard attempt.startedAt == nil else { return job }
    attempt.startedAt = now
    try market.update(attempt)
    // A cancel that crossed on the way keeps its state; the start is kept with the try and for the charge.
    guard job.state == .assigned else {
      return try market.change(job, at: now) { job throws(TransitionRefused) in job.noteStart(at: now) }
    }
    return try market.change(job, at: now) { job throws(TransitionRefused) in try job.start(at: now) }
  }
}

/// A try is over. The row of the try, the job, the charge and the event become durable together.
public struct EndTry: Sendable {
  /// What the miner's report says, or what the coordinator found.
  public struct Facts: Hashable, Sendable {
    public var usage: JSONValue?
    public var stdout: LogRecord?
    public var stderr: LogRecord?
    /// The miner's, checked.
    public var signature: SignatureRecord?

    public init(
      usage: JSONValue? = nil, stdout: LogRecord? = nil, stderr: LogRecord? = nil,
      signature: SignatureRecord? = nil
    ) {
      self.usage = usage
      self.stdout = stdout
      self.stderr = stderr
      self.signature = signature
    }
  }

  /// How far a try was.
  public struct Progress: Hashable, Sendable {
    public var percent: Int
    public var message: String?

    public init(percent: Int, message: String? = nil) {
      self.percent = percent
      self.message = message
    }
  }

  public var leaseHash: String
  /// Nil when the coordinator itself ends it (the lease ran out).
  public var miner: MinerID?
  public var end: TryEnd
  public var facts: Facts
  /// The last progress that was reported, which the row may not have yet.
  public var progress: Progress?
  /// The wait before another try.
  public var backoff: Seconds
  /// The market's share of the charge.
  public var fee: FeeRate
  public var now: Timestamp
  /// How long before ``now`` the program ended, as its miner says: a result may be delivered long after. It is dated
  /// and charged so, but never before its start. Nil: now.
  public var endedAgo: Seconds?
  /// So many different miners, one after the other, are lost with a job before no other gets it.
  public var quarantineAfter = EndTry.defaultQuarantine

  public static let defaultQuarantine = 3

  public init(
    leaseHash: String, miner: MinerID?, end: TryEnd, facts: Facts = Facts(), progress: Progress? = nil,
    backoff: Seconds, fee: FeeRate = .none, now: Timestamp
  ) {
    self.leaseHash = leaseHash
    self.miner = miner
    self.end = end
    self.facts = facts
    self.progress = progress
    self.backoff = backoff
    self.fee = fee
    self.now = now
  }

  /// Throws ``MarketError/staleLease`` when the try is not live any more.
  public func run(in market: any MarketTransaction) throws -> Job {
    var (attempt, job) = try market.liveTry(leaseHash: leaseHash, of: miner)
    var end = end
    // Nobody asked for it here: the miner's operator stopped it, and another miner may run it.
    if end == .canceled, job.state != .canceling { end = .lost(reason: "it was stopped at the miner") }
    let endedAt = attempt.startedAt.map { max($0, now - (endedAgo ?? Seconds(0))) } ?? now
    attempt.endedAt = min(endedAt, now)
    attempt.usage = facts.usage
    attempt.stdout = facts.stdout
    attempt.stderr = facts.stderr
    attempt.signature = facts.signature
    switch end {
    case .completed(let code, _):
      attempt.state = .completed
      attempt.exitCode = code
    case .failed(let error, let code):
      attempt.state = .failed
      attempt.error = error
      attempt.exitCode = code
    case .refused(let reason):
      attempt.state = .refused
      attempt.error = JobError(.refused, reason)
    case .lost(let reason):
      attempt.state = .lost
      attempt.error = JobError(.lost, reason)
    case .quarantined(let reason):
      attempt.state = .lost
      attempt.error = JobError(.quarantined, reason)
    case .canceled: attempt.state = .canceled
    }
    try market.update(attempt)
    if case .lost = self.end, let reason = try quarantine(job, in: market) { end = .quarantined(reason: reason) }
    // A program may end before the word of its start came through.
    if case .completed = end, job.state == .assigned { job = try market.noteStarted(job, at: now) }
    return try market.change(job, at: now, fee: fee) { job throws(TransitionRefused) in
      if let progress { _ = job.report(progress: progress.percent, message: progress.message) }
      try job.end(end, backoff: backoff, at: now, endedAt: attempt.endedAt)
    }
  }

  /// Why no other miner may get a job that was just lost; nil while that is not so, and when no try is left anyway.
  /// Counts the last tries whose program was started: one that never ran can't have done it. Refusals say nothing.
  private func quarantine(_ job: Job, in market: any MarketReader) throws -> String? {
    guard job.triesUsed >= quarantineAfter, job.triesUsed < job.specification.maxTries else { return nil }
    let tries = try market.tries(of: job.id).reversed().filter { $0.state != .refused }
    let lost = tries.prefix { $0.state == .lost && $0.startedAt != nil }
    guard Set(lost.map(\.miner)).count >= quarantineAfter else { return nil }
    return "\(lost.count) miners in a row were lost while they ran it; no other gets it"
  }
}
