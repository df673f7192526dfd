public import Marketplace

/// Gives an account another plan. A longer retention reaches the results that are here too, in steps
/// (``ExtendRetention``); a shorter one only those of jobs that end later.
public struct PlanChange: Sendable {
  public var account: AccountID
  public var plan: Plan
  public var now: Timestamp

  public init(account: AccountID, plan: Plan, now: Timestamp) {
    self.account = account
    self.plan = plan
    self.now = now
  }

  /// The account as it is now. Throws ``MarketError/accountNotFound``.
  public func run(in market: any MarketTransaction) throws -> Account {
    guard var account = try market.account(account) else { throw MarketError.accountNotFound }
    let before = account.plan
    account.plan = plan
    try market.save(account)
    // In the same transaction: from now on the sweeper leaves the account's results alone until they have their time.
    if plan.retention > before.retention {
      try market.insertExtension(account: account.id, retention: plan.retention, completedUntil: now)
    }
    return account
  }
}

/// Carries a longer retention to some more results of the account that waits longest.
public struct ExtendRetention: Sendable {
  public var now: Timestamp
  /// Jobs in one step.
  public var limit: Int

  public init(now: Timestamp, limit: Int = 500) {
    self.now = now
    self.limit = limit
  }

  /// Whether there is more to do.
  public func run(in market: any MarketTransaction) throws -> Bool {
    guard var wait = try market.nextExtension() else { return false }
    let found = try market.completed(in: wait, limit: limit)
    for (row, job) in found {
      var job = job
      // At the moment of the upgrade it was still here, even when its old time has passed since then.
      if job.extendRetention(to: wait.retention, at: wait.completedUntil) { try market.update(job) }
      if let ended = job.completedAt { (wait.completedAt, wait.job) = (ended, row) }
    }
    if found.count < limit {
      try market.remove(wait)
    } else {
      try market.update(wait)
    }
    return true
  }
}
