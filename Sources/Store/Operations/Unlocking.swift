public import Marketplace

/// Allows exactly one more run under a strict run key. The next submission that needs it uses it up, in the
/// transaction that inserts its job; unlocking again before that replaces it.
public struct Unlocking: Sendable {
  public var account: AccountID
  public var key: String
  public var reason: String?
  /// How long it holds. Nil: until it is used.
  public var term: Seconds?
  public var now: Timestamp

  public init(account: AccountID, key: String, reason: String?, term: Seconds?, now: Timestamp) {
    self.account = account
    self.key = key
    self.reason = reason
    self.term = term
    self.now = now
  }

  /// The key's row. Throws ``MarketError/runKeyNotFound``, and ``MarketError/attemptActive(_:_:)`` while a job of the
  /// key is active.
  public func run(in market: any MarketTransaction) throws -> RunKeyRecord {
    guard var record = try market.runKey(account: account, key: key) else { throw MarketError.runKeyNotFound }
    if let latest = try market.job(record.latestJob), !latest.state.isTerminal {
      throw MarketError.attemptActive(latest.id, latest.state)
    }
    record.unlock = RunKeyUnlock(reason: reason, grantedAt: now, expiresAt: term.map { now + $0 })
    try market.save(record)
    return record
  }
}
