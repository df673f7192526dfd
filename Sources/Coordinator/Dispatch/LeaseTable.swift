import Clocks
import Marketplace

/// The live leases and when they end, by this process's monotonic clock. A value; the dispatcher owns one.
///
/// The rows say who holds what; this table only says until when. After a restart every lease starts a full term, so a
/// miner that kept running keeps its jobs.
struct LeaseTable {
  struct Lease: Hashable, Sendable {
    let hash: String
    let job: JobID
    let tryNumber: Int
    let miner: MinerID
    var deadline: MonotonicTime
    /// The token itself, once its holder has named it in this process's life.
    var token: String?
  }

  /// How long a lease lives without renewal.
  let term: Seconds
  private(set) var leases: [String: Lease] = [:]
  private var lastSweep: MonotonicTime?

  /// A sweep later than this after the last one means that we stood still ourselves (stopped, or a busy machine), and
  /// that renewals may be waiting unread.
  static let longestSweepGap = Seconds(2)

  init(term: Seconds) { self.term = term }

  mutating func grant(
    hash: String, job: JobID, tryNumber: Int, miner: MinerID, token: String?, at now: MonotonicTime
  ) {
    leases[hash] = Lease(
      hash: hash, job: job, tryNumber: tryNumber, miner: miner, deadline: now + term, token: token)
  }

  /// Renews a lease of this miner. Nil when it is over or another's.
  mutating func renew(token: String, hash: String, miner: MinerID, at now: MonotonicTime) -> Lease? {
    guard var lease = leases[hash], lease.miner == miner else { return nil }
    lease.deadline = now + term
    lease.token = token
    leases[hash] = lease
    return lease
  }

  mutating func end(hash: String) -> Lease? { leases.removeValue(forKey: hash) }

  func held(by miner: MinerID) -> [Lease] { leases.values.filter { $0.miner == miner } }

  /// The leases whose time is over; they stay in the table until ``end(hash:)``. When we ourselves stood still since
  /// the last sweep, all leases are prolonged by that time instead: the silence was ours.
  mutating func sweep(at now: MonotonicTime) -> [Lease] {
    if let lastSweep, now - lastSweep > Self.longestSweepGap {
      let gap = now - lastSweep
      leases = leases.mapValues { lease in
        var lease = lease
        lease.deadline = lease.deadline + gap
        return lease
      }
    }
    lastSweep = now
    return leases.values.filter { $0.deadline <= now }.sorted { ($0.deadline, $0.hash) < ($1.deadline, $1.hash) }
  }
}
