import Marketplace
import Store

/// Where a miner stands.
enum MinerStatus: String, Sendable {
  case online
  /// Every slot is taken.
  case busy
  /// Takes nothing new.
  case draining
  case offline
}

/// The miners that are connected now, and how much they can take. A value; the dispatcher owns one.
struct Fleet {
  struct Member {
    var record: MinerRecord
    /// Its own word, on this connection.
    var isDraining: Bool
    /// Hashes of the leases it holds.
    var held: Set<String>
    /// Tells connections of one miner apart: only the latest counts.
    let connection: Int
    /// The term of leases that it gets; nil: the usual one.
    var leaseTerm: Seconds?
    /// When it was last heard.
    var lastSeenAt: Timestamp
    /// It has its welcome; before that it must not be sent an assignment.
    var isWelcome = false

    /// It takes nothing new: by its own word, or by the administrator's.
    var takesNothing: Bool { isDraining || record.isDraining }
    var freeSlots: Int { takesNothing || !isWelcome ? 0 : max(0, record.offer.slots - held.count) }
    /// The order of claims: the emptiest first.
    func comes(before other: Self) -> Bool {
      (other.freeSlots, record.id) < (freeSlots, other.record.id)
    }
    var status: MinerStatus { takesNothing ? .draining : freeSlots == 0 ? .busy : .online }
  }

  private(set) var members: [MinerID: Member] = [:]
  private var nextConnection = 0

  /// A miner is connected; a former connection of it no longer counts. Returns the number of this connection.
  mutating func connect(_ record: MinerRecord, held: Set<String>, leaseTerm: Seconds? = nil) -> Int {
    nextConnection += 1
    members[record.id] = Member(
      record: record, isDraining: false, held: held, connection: nextConnection,
      leaseTerm: leaseTerm, lastSeenAt: record.lastSeenAt)
    return nextConnection
  }

  /// False when another connection took its place meanwhile.
  mutating func disconnect(_ miner: MinerID, connection: Int) -> Bool {
    guard members[miner]?.connection == connection else { return false }
    members[miner] = nil
    return true
  }

  mutating func hold(_ lease: String, by miner: MinerID) { members[miner]?.held.insert(lease) }
  mutating func release(_ lease: String, by miner: MinerID) { members[miner]?.held.remove(lease) }
  /// From now on it may get work.
  mutating func welcome(_ miner: MinerID, connection: Int) {
    if members[miner]?.connection == connection { members[miner]?.isWelcome = true }
  }

  mutating func heard(_ miner: MinerID, at now: Timestamp) { members[miner]?.lastSeenAt = now }
  mutating func drain(_ miner: MinerID) { members[miner]?.isDraining = true }
  /// What the row of a connected miner says now.
  mutating func update(_ record: MinerRecord) { members[record.id]?.record = record }
  /// The administrator's word; it stays with the row.
  mutating func setDraining(_ miner: MinerID, _ isDraining: Bool) {
    members[miner]?.record.isDraining = isDraining
  }

  /// Miners that can take something now, in no order.
  var available: [Member] { members.values.filter { $0.freeSlots > 0 } }

  func status(of miner: MinerID) -> MinerStatus { members[miner]?.status ?? .offline }
}
