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
}

extension MarketTransaction {
  /// Applies a pure change to a job, writes the row, and its event when the state changed. The only way a state
  /// changes. Throws ``MarketError/refused(_:)``.
  func change(
    _ job: Job, at now: Timestamp, _ body: (inout Job) throws(TransitionRefused) -> Void
  ) throws -> Job {
    var changed = job
    do {
      try body(&changed)
    } catch {
      throw MarketError.refused(error)
    }
    guard changed != job else { return job }
    if changed.state.isTerminal, !job.state.isTerminal { try settle(&changed, at: now) }
    try update(changed)
    if changed.state != job.state { try append(JobEvent(of: changed, at: now)) }
    return changed
  }

  /// The bookkeeping of an end: what it cost, who is paid, how long the result stays.
  private func settle(_ job: inout Job, at now: Timestamp) throws {
    guard let account = try account(job.account) else { throw MarketError.accountNotFound }
    let charge = try charge(for: job)
    job.settle(cost: charge, retention: account.plan.retention)
    guard charge > .zero, let miner = job.miner else { return }
    try post([
      LedgerLine(job: job.id, kind: .charge, party: job.account.rawValue, amount: -charge, at: now),
      LedgerLine(job: job.id, kind: .charge, party: miner.rawValue, amount: charge, at: now),
    ])
  }

  /// Started → ended of the accepted try: completed, or canceled after it ran. Failing is never paid, nor are lost
  /// tries and launches that failed.
  private func charge(for job: Job) throws -> Money {
    guard job.state == .completed || job.state == .canceled, let started = job.startedAt, let ended = job.completedAt,
      let minerID = job.miner, let miner = try miner(minerID)
    else { return .zero }
    return Pricing.charge(
      milliseconds: ended.millisecondsSince(started), gpus: job.specification.constraints.devices,
      hourly: miner.offer.effectivePrice, priority: job.specification.priority)
  }
}
