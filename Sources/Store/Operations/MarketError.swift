public import Marketplace

/// Why an operation was refused. Nothing was changed.
public enum MarketError: Error, Hashable, Sendable {
  case jobNotFound
  /// The job's state forbids it.
  case refused(TransitionRefused)
  /// The lease token is unknown, over, or another's.
  case staleLease
  /// The idempotency key was used with another request.
  case idempotencyMismatch
  /// The run key stands for another specification.
  case runKeyMismatch(existing: JobID)
  case runKeyNotFound
  /// The strict run key was used by a job whose row is gone: there is nothing to return, and nothing may run.
  case runKeySpent(by: JobID)
  /// The latest attempt of the chain has not ended.
  case attemptActive(JobID, JobState)
  /// Only a waiting job has a place in the queue.
  case notQueued(JobID, JobState)
  /// Jobs are moved among those of one priority.
  case otherPriority(JobID, Priority)
  /// The account has taken as much of its future service as it may.
  case borrowedTooMuch(limit: Int)
  /// The account has as much as its plan allows.
  case quotaExceeded(QuotaFault)
  /// Inputs that are not here any more.
  case inputsMissing([String])
  /// The job is active; what is asked for comes with its end.
  case notFinished(JobState)
  /// The results are gone since then.
  case resultsGone(Timestamp)
  case shareNotFound
  /// The link's time is over since then.
  case shareExpired(Timestamp)
  case tooManyShares(limit: Int)
  case accountNotFound
  /// Another account has the name.
  case nameTaken(String)
  case keyNotFound
  /// Without it nobody could administrate.
  case lastAdminKey
  case minerNotFound
  /// The miner still works on so many tries.
  case minerHolds(count: Int)
}

extension MarketTransaction {
  /// Applies a pure change to a job, writes the row, and its event when the state changed. The only way a state
  /// changes. Throws ``MarketError/refused(_:)``.
  func change(
    _ job: Job, at now: Timestamp, fee: FeeRate = .none, _ body: (inout Job) throws(TransitionRefused) -> Void
  ) throws -> Job {
    var changed = job
    do {
      try body(&changed)
    } catch {
      throw MarketError.refused(error)
    }
    guard changed != job else { return job }
    if changed.state.isTerminal, !job.state.isTerminal { try settle(&changed, fee: fee, at: now) }
    try update(changed)
    if changed.state != job.state { try append(JobEvent(of: changed, at: now)) }
    return changed
  }

  /// The start of a job whose end follows in the same operation: the event is written, and the row with its end.
  func noteStarted(_ job: Job, at now: Timestamp) throws -> Job {
    var started = job
    do throws(TransitionRefused) { try started.start(at: now) } catch { throw MarketError.refused(error) }
    try append(JobEvent(of: started, at: now))
    return started
  }

  /// The bookkeeping of an end: what it cost, who is paid, how long the result stays.
  private func settle(_ job: inout Job, fee: FeeRate, at now: Timestamp) throws {
    guard let account = try account(job.account) else { throw MarketError.accountNotFound }
    let charge = try charge(for: job)
    job.settle(cost: charge, retention: account.plan.retention)
    guard charge > .zero, let miner = job.miner else { return }
    try post(LedgerLine.charge(job.id, charge, of: account.id, to: miner, fee: fee, at: now))
  }

  /// Started → ended of the accepted try at the price of its claim: completed, or canceled after it ran. Failing is
  /// never paid, nor are lost tries and launches that failed.
  private func charge(for job: Job) throws -> Money {
    guard job.state == .completed || job.state == .canceled, let started = job.startedAt, let ended = job.completedAt,
      let attempt = try tryRecord(of: job.id, number: job.lastTry)
    else { return .zero }
    guard let price = try attempt.price ?? miner(attempt.miner)?.offer.effectivePrice else { return .zero }
    return Pricing.charge(
      milliseconds: ended.millisecondsSince(started), gpus: job.specification.constraints.devices, hourly: price,
      priority: job.priority)
  }
}

extension LedgerLine {
  /// What a job's end moves: the client pays all of it, the miner gets it less the fee, the market the fee.
  static func charge(
    _ job: JobID, _ charge: Money, of account: AccountID, to miner: MinerID, fee rate: FeeRate, at now: Timestamp
  ) -> [LedgerLine] {
    let fee = rate.share(of: charge)
    let shares = [(account.rawValue, -charge), (miner.rawValue, charge + -fee), (market, fee)]
    return shares.filter { $0.1 != .zero }.map {
      LedgerLine(job: job, kind: .charge, party: $0.0, amount: $0.1, at: now)
    }
  }
}
