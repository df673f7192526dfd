public import Marketplace

extension MarketReader {
  /// How many more jobs of an account miners may hold; `limit` takes the place of the plan's.
  func runningRoom(of account: AccountID, limit: Int?) throws -> Int {
    guard let owner = try self.account(account) else { return 0 }
    return try (limit ?? owner.plan.runningJobLimit) - heldCount(account: account)
  }
}

/// Makes jobs claimable again whose accounts may run more.
public struct HeldBackRelease: Sendable {
  public var runningLimit: Int?

  public init(runningLimit: Int? = nil) { self.runningLimit = runningLimit }

  /// The accounts whose jobs are still held back. Nothing is written when none has room.
  public func run(in market: any MarketTransaction) throws -> Set<AccountID> {
    for account in try market.accountsHeldBack() {
      let room = try market.runningRoom(of: account, limit: runningLimit)
      if room > 0 { _ = try market.releaseHeldBack(account: account, limit: room) }
    }
    return Set(try market.accountsHeldBack())
  }

  /// Whether ``run(in:)`` would change anything, and the accounts whose jobs are held back.
  public func look(in market: any MarketReader) throws -> (isDue: Bool, accounts: Set<AccountID>) {
    let accounts = try market.accountsHeldBack()
    return (try accounts.contains { try market.runningRoom(of: $0, limit: runningLimit) > 0 }, Set(accounts))
  }
}
