import Clocks
import Cryptography
import Logging
import Marketplace
import Store
import Synchronization
import Wire

/// The miners that speak REST and were heard lately.
///
/// A miner is known by its account and its name; without a name, by its key. The id is public and none of these.
final class PollingMiners: Sendable {
  private let isStopped = Atomic<Bool>(false)
  private let known = Mutex<[MinerID: (miner: PollingMiner, connection: Int)]>([:])

  /// How the rows know a miner without an instance secret of its own.
  static func instanceHash(account: AccountID, name: String) -> String {
    SHA256.hash("aitbc-rest-miner\n\(account.rawValue)\n\(name)".utf8).hex
  }

  /// The name of a miner that gives none.
  static func defaultName(of identity: Identity) -> String { "miner-" + identity.keyHash.prefix(8) }

  subscript(id: MinerID) -> PollingMiner? { known.withLock { $0[id]?.miner } }

  /// The miner of a row, heard just now: the one that is connected, or it is connected. What the rows say it holds goes
  /// on.
  func attach(_ record: MinerRecord, held: [(attempt: TryRecord, job: Job)], identity: Identity, in market: Market)
    -> PollingMiner
  {
    let miner = known.withLock { known in
      if let miner = known[record.id]?.miner { return miner }
      let miner = PollingMiner(id: record.id, keyHash: identity.keyHash, clock: market.clock) {
        [weak market] assignment in
        Task { await market?.giveBack(assignment) }
      }
      known[record.id] = (miner, 0)
      return miner
    }
    miner.heard(keyHash: identity.keyHash)
    for (attempt, job) in held where !miner.knows(attempt.leaseHash) {
      let ran = attempt.startedAt.map { market.clock.now.millisecondsSince($0) } ?? 0
      let rest = max(0, job.specification.timeout.milliseconds - ran)
      miner.began(attempt.leaseHash, job: job.id, timeout: Seconds(milliseconds: rest))
    }
    let connection = market.dispatcher.attach(
      record, link: miner, held: held.map(\.attempt), term: market.configuration.restLeaseTerm)
    known.withLock { $0[record.id] = (miner, connection) }
    return miner
  }

  func remove(_ id: MinerID) { _ = known.withLock { $0.removeValue(forKey: id) } }

  /// Takes those out that have been silent for so long; they are offline until they ask again.
  func takeSilent(since moment: MonotonicTime) -> [(id: MinerID, connection: Int)] {
    known.withLock { known in
      let silent = known.filter { $0.value.miner.isSilent(since: moment) }
      for id in silent.keys { known[id] = nil }
      return silent.map { ($0.key, $0.value.connection) }
    }
  }

  /// The coordinator stops: no poll waits any more.
  var isStopping: Bool { isStopped.load(ordering: .acquiring) }

  /// Ends all polls.
  func stop() {
    isStopped.store(true, ordering: .releasing)
    for miner in known.withLock({ $0.values.map(\.miner) }) { miner.release() }
  }
}

extension Market {
  /// An assignment that reached nobody: back to the queue, no try burnt.
  func giveBack(_ assignment: Assignment) async {
    guard let lease = dispatcher.lease(token: assignment.lease) else { return }
    polling[lease.miner]?.ended(lease.hash)
    do {
      try await refuse(
        lease, reason: "the assignment reached no poll of the miner", backoff: Seconds(milliseconds: 0))
    } catch {
      // The lease runs out by itself.
      log.error("can't give an assignment back", metadata: ["job": "\(lease.job)", "error": "\(error)"])
    }
  }
}
