public import Marketplace

/// The owner gives a waiting job another priority: another place, and another price.
public struct Reprioritisation: Sendable {
  public var job: JobID
  public var account: AccountID
  public var priority: Priority

  public init(job: JobID, account: AccountID, priority: Priority) {
    self.job = job
    self.account = account
    self.priority = priority
  }

  /// Throws ``MarketError``: not found, or notQueued when it does not wait.
  public func run(in market: any MarketTransaction) throws -> Job {
    guard var job = try market.job(job), job.account == account else { throw MarketError.jobNotFound }
    guard job.reprioritise(to: priority) else { throw MarketError.notQueued(job.id, job.state) }
    try market.update(job)
    return job
  }
}
