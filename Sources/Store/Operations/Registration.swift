public import Marketplace

/// A miner introduces itself. The same instance secret is the same miner.
public struct Registration: Sendable {
  public var account: AccountID
  public var instanceHash: String
  public var name: String
  public var version: String
  public var offer: MinerOffer
  /// As ``MinerRecord/publicKey``.
  public var publicKey: String?
  /// Used when the miner is new.
  public var newID: MinerID
  public var now: Timestamp
  /// It speaks REST.
  public var isPolling: Bool

  public init(
    account: AccountID, instanceHash: String, name: String, version: String, offer: MinerOffer,
    publicKey: String? = nil, newID: MinerID, now: Timestamp, isPolling: Bool = false
  ) {
    self.isPolling = isPolling
    self.account = account
    self.instanceHash = instanceHash
    self.name = name
    self.version = version
    self.offer = offer
    self.publicKey = publicKey
    self.newID = newID
    self.now = now
  }

  /// The miner's row, and the tries whose leases it holds.
  public func run(in market: any MarketTransaction) throws -> (miner: MinerRecord, held: [TryRecord]) {
    var miner =
      try market.miner(instanceHash: instanceHash)
      ?? MinerRecord(
        id: newID, instanceHash: instanceHash, account: account, name: name, version: version, offer: offer,
        registeredAt: now, lastSeenAt: now, isPolling: isPolling)
    // Another account's key with a stolen instance secret must not become that miner.
    guard miner.account == account else { throw MarketError.staleLease }
    miner.name = name
    miner.version = version
    miner.offer = offer
    miner.publicKey = publicKey
    miner.lastSeenAt = now
    try market.save(miner)
    return (miner, try market.heldTries().filter { $0.miner == miner.id })
  }
}

/// Forgets a miner that holds nothing. Throws ``MarketError/minerHolds(count:)`` while it holds leases.
public struct MinerRemoval: Sendable {
  public var miner: MinerID

  public init(miner: MinerID) { self.miner = miner }

  public func run(in market: any MarketTransaction) throws {
    guard try market.miner(miner) != nil else { throw MarketError.minerNotFound }
    let held = try market.heldTries().count { $0.miner == miner }
    guard held == 0 else { throw MarketError.minerHolds(count: held) }
    try market.removeMiner(miner)
  }
}
