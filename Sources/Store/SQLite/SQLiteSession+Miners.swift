import JSON
import Marketplace

private let minerColumns = """
  id, instance_hash, account, name, version, offer, registered_at, last_seen_at, is_draining, is_polling, public_key \
  FROM miners
  """

extension SQLiteSession {
  private enum Statements {
    static let byID = SQL("SELECT \(minerColumns) WHERE id = ?")
    static let byInstance = SQL("SELECT \(minerColumns) WHERE instance_hash = ?")
    static let all = SQL("SELECT \(minerColumns) ORDER BY id")
    static let remove = SQL("DELETE FROM miners WHERE id = ?")
    static let save = SQL(
      """
      INSERT INTO miners (id, instance_hash, account, name, version, offer, registered_at, last_seen_at, is_draining,
        is_polling, public_key)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (id) DO UPDATE SET name = excluded.name, version = excluded.version, offer = excluded.offer,
        last_seen_at = excluded.last_seen_at, is_draining = excluded.is_draining, public_key = excluded.public_key
      """, keepsCache: true)
  }

  func miner(_ id: MinerID) throws -> MinerRecord? {
    if let known = cache?.hot.miner(id) { return known }
    let miner = try connection.first(Statements.byID, [.id(id)]) { try Self.makeMiner($0) }
    if let miner { cache?.hot.noteRead(miner) }
    return miner
  }

  func miner(instanceHash: String) throws -> MinerRecord? {
    try connection.first(Statements.byInstance, [.string(instanceHash)]) { try Self.makeMiner($0) }
  }

  func miners() throws -> [MinerRecord] { try connection.all(Statements.all) { try Self.makeMiner($0) } }

  func save(_ miner: MinerRecord) throws {
    try connection.execute(
      Statements.save,
      [
        .id(miner.id), .string(miner.instanceHash), .id(miner.account), .string(miner.name), .string(miner.version),
        .json(miner.offer.json), .time(miner.registeredAt), .time(miner.lastSeenAt), .flag(miner.isDraining),
        .flag(miner.isPolling), .text(miner.publicKey),
      ])
    cache?.hot.noteWritten(miner)
  }

  func removeMiner(_ id: MinerID) throws { try connection.execute(Statements.remove, [.id(id)]) }

  private static func makeMiner(_ row: Row) throws -> MinerRecord {
    guard let offer = MinerOffer(json: try row.json(5)) else { throw StoreError.damaged("offer of \(row.text(0))") }
    return MinerRecord(
      id: try row.id(0), instanceHash: row.text(1), account: try row.id(2), name: row.text(3), version: row.text(4),
      offer: offer, registeredAt: row.time(6), lastSeenAt: row.time(7), isDraining: row.flag(8),
      isPolling: row.flag(9), publicKey: row.optionalText(10))
  }
}
