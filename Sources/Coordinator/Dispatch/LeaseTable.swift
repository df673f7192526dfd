import Clocks
import Marketplace
import Store

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
    /// How long it lives without renewal.
    var term: Seconds
    var deadline: MonotonicTime
    /// The token itself, once its holder has named it in this process's life.
    var token: String?
    /// The miner must have stopped it by then.
    var stop: Stop?
    /// It was not stopped in time: it is not renewed any more.
    var isRevoked = false

    init(
      hash: String, job: JobID, tryNumber: Int, miner: MinerID, term: Seconds, deadline: MonotonicTime, token: String?
    ) {
      self.hash = hash
      self.job = job
      self.tryNumber = tryNumber
      self.miner = miner
      self.term = term
      self.deadline = deadline
      self.token = token
    }

    /// The lease of a row that is about to be ended.
    init(ending attempt: TryRecord, at now: MonotonicTime) {
      self.init(
        hash: attempt.leaseHash, job: attempt.job, tryNumber: attempt.number, miner: attempt.miner,
        term: Seconds(milliseconds: 0), deadline: now, token: nil)
    }
  }

  /// Until when a try must have ended, and why.
  struct Stop: Hashable, Sendable {
    enum Reason: Hashable, Sendable {
      /// Its program must have been started.
      case start
      case timeout
      case cancel
    }

    var deadline: MonotonicTime
    var reason: Reason
  }

  /// How much longer than told a miner may take to stop a job.
  static let stopMargin = Seconds(30)

  /// How long a lease lives without renewal, unless it was granted another term.
  let term: Seconds
  private(set) var leases: [String: Lease] = [:]
  private var lastSweep: MonotonicTime?

  /// A sweep later than this after the last one means that we stood still ourselves (stopped, or a busy machine), and
  /// that renewals may be waiting unread.
  static let longestSweepGap = Seconds(2)

  init(term: Seconds) { self.term = term }

  mutating func grant(
    hash: String, job: JobID, tryNumber: Int, miner: MinerID, token: String?, term: Seconds? = nil,
    at now: MonotonicTime
  ) {
    let term = term ?? self.term
    var lease = Lease(
      hash: hash, job: job, tryNumber: tryNumber, miner: miner, term: term, deadline: now + term, token: token)
    if let known = leases[hash] {
      lease.stop = known.stop
      lease.isRevoked = known.isRevoked
      if known.isRevoked { lease.deadline = known.deadline }
    }
    leases[hash] = lease
  }

  /// The try must have ended `time` from now; ``stopMargin`` later its lease is taken back.
  mutating func stop(_ hash: String, within time: Seconds, for reason: Stop.Reason, at now: MonotonicTime) {
    leases[hash]?.stop = Stop(deadline: now + time + Self.stopMargin, reason: reason)
  }

  /// Takes back the leases of tries that were not stopped in time; they end with their present term. Each once.
  mutating func revokeOverruns(at now: MonotonicTime) -> [Lease] {
    let over = leases.values.filter { lease in !lease.isRevoked && lease.stop.map { $0.deadline <= now } ?? false }
    for lease in over { leases[lease.hash]?.isRevoked = true }
    return over.sorted { $0.hash < $1.hash }
  }

  /// Renews a lease of this miner. Nil when it is over or another's.
  mutating func renew(token: String, hash: String, miner: MinerID, at now: MonotonicTime) -> Lease? {
    guard var lease = leases[hash], lease.miner == miner, !lease.isRevoked else { return nil }
    lease.deadline = now + lease.term
    lease.token = token
    leases[hash] = lease
    return lease
  }

  /// Renews a lease whose token the miner did not name; true when it is the miner's.
  @discardableResult
  mutating func renew(hash: String, miner: MinerID, at now: MonotonicTime) -> Bool {
    guard let lease = leases[hash], lease.miner == miner else { return false }
    leases[hash]?.deadline = now + lease.term
    return true
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
        if let stop = lease.stop { lease.stop?.deadline = stop.deadline + gap }
        return lease
      }
    }
    lastSweep = now
    return leases.values.filter { $0.deadline <= now }.sorted { ($0.deadline, $0.hash) < ($1.deadline, $1.hash) }
  }
}
