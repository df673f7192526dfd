import Clocks
import Marketplace
import Store
import Wire

/// All that the dispatcher knows and decides, as a value: who is connected, who holds which lease until when, and which
/// cancels still have to reach a miner. Time comes in with every call; commits and sockets are the caller's.
struct DispatchState {
  private(set) var fleet = Fleet()
  private(set) var leases: LeaseTable
  /// Leases that end at the miner while their cancel has not been sent, with the grace.
  private var cancels: [String: Seconds] = [:]
  /// Assignments whose miner had left its connection when their claim was durable, and has not been welcomed again.
  private var undelivered: [MinerID: [MinerCommand]] = [:]
  /// While a claim is on its way to the disk: leases that ended before it came back from there.
  private var endedEarly: Set<String>?

  /// A claim gives at most this many jobs to one miner, so that one commit stays short.
  static let largestClaim = 256

  init(leaseTerm: Seconds) { leases = LeaseTable(term: leaseTerm) }

  var term: Seconds { leases.term }

  // MARK: After a start

  /// A try that the rows say is held, with what its job has asked to stop it by.
  struct Held: Sendable {
    let attempt: TryRecord
    /// Set when the job is being canceled.
    let cancelGrace: Seconds?

    /// All of them.
    static func all(in market: any MarketReader) throws -> [Held] {
      try market.heldTries().map { attempt in
        let job = try market.job(attempt.job)
        return Held(attempt: attempt, cancelGrace: job?.state == .canceling ? job?.cancel?.grace : nil)
      }
    }
  }

  /// Takes the leases of the rows back; each lives a full term from now.
  mutating func restore(_ held: [Held], at now: MonotonicTime) {
    for item in held {
      cancels[item.attempt.leaseHash] = item.cancelGrace
      grant(item.attempt, token: nil, at: now)
    }
  }

  private mutating func grant(_ attempt: TryRecord, token: String?, at now: MonotonicTime) {
    leases.grant(
      hash: attempt.leaseHash, job: attempt.job, tryNumber: attempt.number, miner: attempt.miner, token: token, at: now)
  }

  // MARK: Claiming

  /// What one miner may be given now.
  struct Opening: Sendable {
    let miner: MinerID
    /// Requirement classes that it fits and that have claimable jobs.
    let classes: [Int64]
    /// How many jobs it can take.
    let count: Int
  }

  /// Which miners may claim what, the emptiest first.
  static func openings(for members: [Fleet.Member], classes: [PendingClass]) -> [Opening] {
    let ready = classes.filter { $0.ready > 0 }
    return members.compactMap { member in
      let fitting = ready.filter { $0.requirements.missing(in: member.record.offer).isEmpty }.map(\.id)
      guard !fitting.isEmpty else { return nil }
      return Opening(miner: member.record.id, classes: fitting, count: min(member.freeSlots, largestClaim))
    }
  }

  /// A claim begins; it ends with ``granted(_:to:at:)``, with nothing claimed when it failed. One at a time.
  mutating func beginClaim() { endedEarly = [] }

  /// The claim is durable: its leases begin to run. Returns what the miner is to be told now.
  mutating func granted(_ claimed: [ClaimedTry], to miner: MinerID, at now: MonotonicTime) -> [MinerCommand] {
    let endedEarly = endedEarly ?? []
    self.endedEarly = nil
    var commands: [MinerCommand] = []
    // A miner that came back meanwhile and did not know of a try has given it back already.
    for item in claimed where !endedEarly.contains(item.attempt.leaseHash) {
      let hash = item.attempt.leaseHash
      grant(item.attempt, token: item.lease, at: now)
      fleet.hold(hash, by: miner)
      commands.append(
        .assign(
          Assignment(
            job: item.job.id, tryNumber: item.attempt.number, attempt: item.job.attempt, lease: item.lease,
            leaseMilliseconds: term.milliseconds, specification: item.job.specification)))
      // A cancel may have come between the commit and here.
      if let grace = cancels[hash] { commands.append(.cancel(lease: item.lease, grace: grace)) }
    }
    guard fleet.members[miner]?.isWelcome == true else {
      undelivered[miner, default: []] += commands
      return []
    }
    return commands
  }

  // MARK: Miners

  /// A miner introduced itself. Held leases that it names go on; returns those that are its own, and those it did not
  /// name although the rows say it has them.
  mutating func connect(
    _ record: MinerRecord, named: [String], held: [TryRecord], at now: MonotonicTime
  ) -> (connection: Int, resumed: [LeaseTable.Lease], unnamed: [TryRecord]) {
    let tokens = Dictionary(named.map { (LeaseToken.hash($0), $0) }, uniquingKeysWith: { first, _ in first })
    var resumed: [LeaseTable.Lease] = []
    for attempt in held {
      guard let token = tokens[attempt.leaseHash] else { continue }
      grant(attempt, token: token, at: now)
      if let lease = leases.leases[attempt.leaseHash] { resumed.append(lease) }
    }
    let connection = fleet.connect(record, held: Set(held.map(\.leaseHash)))
    return (connection, resumed, held.filter { tokens[$0.leaseHash] == nil })
  }

  /// What becomes of a try that the rows give to a miner but that it does not name.
  enum GiveBack: Sendable {
    case lose(LeaseTable.Lease, reason: String)
    case refuse(LeaseTable.Lease, reason: String)

    /// A miner that forgot everything (`isFresh`) may have started it: the try counts. One that remembers never got it:
    /// it goes back for nothing.
    init(_ attempt: TryRecord, isFresh: Bool, at now: MonotonicTime) {
      let lease = LeaseTable.Lease(
        hash: attempt.leaseHash, job: attempt.job, tryNumber: attempt.number, miner: attempt.miner, deadline: now,
        token: nil)
      self =
        isFresh || attempt.startedAt != nil
        ? .lose(lease, reason: "the miner was started anew and lost it")
        : .refuse(lease, reason: "the assignment never reached the miner")
    }
  }

  /// The miner has its welcome and may get work. Returns what could not be told it before.
  mutating func welcome(_ miner: MinerID, connection: Int) -> [MinerCommand] {
    guard fleet.members[miner]?.connection == connection else { return [] }
    fleet.welcome(miner, connection: connection)
    return (undelivered.removeValue(forKey: miner) ?? []).filter { command in
      switch command {
      case .assign(let assignment): lease(token: assignment.lease) != nil
      case .cancel(let token, _): lease(token: token) != nil
      default: false
      }
    }
  }

  /// False when another connection took its place meanwhile.
  mutating func disconnect(_ miner: MinerID, connection: Int) -> Bool {
    fleet.disconnect(miner, connection: connection)
  }

  mutating func drain(_ miner: MinerID) { fleet.drain(miner) }

  /// Renews what the miner names. Returns milliseconds of life for each that is its own, and the tokens that are not.
  mutating func renew(
    _ tokens: [String], of miner: MinerID, at now: MonotonicTime, wall: Timestamp
  ) -> (renewed: [String: Int64], lost: [String]) {
    fleet.heard(miner, at: wall)
    var renewed: [String: Int64] = [:]
    var lost: [String] = []
    for token in tokens {
      if leases.renew(token: token, hash: LeaseToken.hash(token), miner: miner, at: now) != nil {
        renewed[token] = term.milliseconds
      } else {
        lost.append(token)
      }
    }
    return (renewed, lost)
  }

  // MARK: Leases

  /// The live lease behind a token, whoever holds it.
  func lease(token: String) -> LeaseTable.Lease? { leases.leases[LeaseToken.hash(token)] }

  /// The try is over: its slot is free.
  mutating func release(_ hash: String) {
    endedEarly?.insert(hash)
    guard let lease = leases.end(hash: hash) else { return }
    cancels[hash] = nil
    fleet.release(hash, by: lease.miner)
  }

  /// The miner has to stop this try. The lease when it can be told now; otherwise it is told when it is back.
  mutating func cancel(_ hash: String, grace: Seconds) -> LeaseTable.Lease? {
    cancels[hash] = grace
    return leases.leases[hash]
  }

  /// Cancels that a returning miner may not have heard.
  func pendingCancels(of resumed: [LeaseTable.Lease]) -> [MinerCommand] {
    resumed.compactMap { lease in
      guard let token = lease.token, let grace = cancels[lease.hash] else { return nil }
      return .cancel(lease: token, grace: grace)
    }
  }

  /// Leases whose time is over; they stay until ``release(_:)``.
  mutating func overdue(at now: MonotonicTime) -> [LeaseTable.Lease] { leases.sweep(at: now) }
}
