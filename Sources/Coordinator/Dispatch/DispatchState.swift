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
  private(set) var cancels: [String: Seconds] = [:]
  /// Accounts that run as many jobs as they may, while others of theirs wait.
  var heldBack: Set<AccountID> = []
  /// Assignments whose miner had left its connection when their claim was durable, and has not been welcomed again.
  private var undelivered: [MinerID: [MinerCommand]] = [:]
  /// While a claim is on its way to the disk: leases that ended before it came back from there.
  private var endedEarly: Set<String>?

  /// A claim gives at most this many jobs to one miner, so that one commit stays short.
  static let largestClaim = 256

  /// The term of a REST miner's leases: its heartbeats come more seldom.
  static func restTerm(_ term: Seconds) -> Seconds { Seconds(milliseconds: term.milliseconds * 2) }

  init(leaseTerm: Seconds) { leases = LeaseTable(term: leaseTerm) }

  var term: Seconds { leases.term }

  // MARK: After a start

  /// What the rows say when a coordinator starts.
  struct Found: Sendable {
    /// Tries that are held, with their jobs.
    let held: [(attempt: TryRecord, job: Job?)]
    let heldBack: Set<AccountID>
    /// Miners that speak REST.
    let polling: Set<MinerID>

    init(in market: any MarketReader) throws {
      held = try market.heldTries().map { attempt in (attempt, try market.job(attempt.job)) }
      heldBack = Set(try market.accountsHeldBack())
      polling = Set(try market.miners().filter(\.isPolling).map(\.id))
    }
  }

  /// Takes the leases of the rows back; each lives a full term from now.
  mutating func restore(_ found: Found, at now: MonotonicTime, wall: Timestamp) {
    heldBack = found.heldBack
    for (attempt, job) in found.held {
      let hash = attempt.leaseHash
      let term = found.polling.contains(attempt.miner) ? Self.restTerm(term) : nil
      grant(attempt, token: nil, term: term, at: now)
      guard let job else { continue }
      if job.state == .canceling, let cancel = job.cancel {
        cancels[hash] = cancel.grace
        leases.stop(hash, within: cancel.grace, for: .cancel, at: now)
      } else if let startedAt = attempt.startedAt {
        let ran = max(0, wall.millisecondsSince(startedAt))
        let left = Seconds(milliseconds: max(0, job.specification.timeout.milliseconds - ran))
        leases.stop(hash, within: left, for: .timeout, at: now)
      } else {
        leases.stop(hash, within: Self.preparation(of: job), for: .start, at: now)
      }
    }
  }

  private mutating func grant(_ attempt: TryRecord, token: String?, term: Seconds? = nil, at now: MonotonicTime) {
    leases.grant(
      hash: attempt.leaseHash, job: attempt.job, tryNumber: attempt.number, miner: attempt.miner, token: token,
      term: term, at: now)
  }

  /// How long a miner may take to start a job: fetching inputs takes its time.
  private static func preparation(of job: Job) -> Seconds {
    max(job.specification.timeToLive, JobSpecification.defaultTimeToLive)
  }

  // MARK: Claiming

  /// What one miner may be given now.
  struct Opening: Sendable {
    let miner: MinerID
    /// Requirement classes that it fits and that have claimable jobs.
    let classes: [Int64]
    /// How many jobs it can take.
    let count: Int
    /// The term of its leases; nil: the usual one.
    let leaseTerm: Seconds?
  }

  /// Which miners may claim what, in their order. `demand`: how many assignments a miner takes now, besides what its
  /// slots allow.
  static func openings(for members: [(member: Fleet.Member, demand: Int)], classes: [PendingClass]) -> [Opening] {
    let ready = classes.filter { $0.ready > 0 }
    return members.compactMap { member, demand in
      let fitting = ready.filter { $0.requirements.missing(in: member.record.offer).isEmpty }.map(\.id)
      let count = min(member.freeSlots, demand, largestClaim)
      guard !fitting.isEmpty, count > 0 else { return nil }
      return Opening(miner: member.record.id, classes: fitting, count: count, leaseTerm: member.leaseTerm)
    }
  }

  /// The same for miners that take all that their slots allow.
  static func openings(for members: [Fleet.Member], classes: [PendingClass]) -> [Opening] {
    openings(for: members.map { (member: $0, demand: .max) }, classes: classes)
  }

  /// A larger fleet is not searched for each submission.
  static let searchedFleet = 256

  /// The miner that a job can have in the commit of its own submission: the emptiest that fits and has room. What it may
  /// be given is still the first of its class. Nil while another claim is on its way. `demand`: how many assignments each
  /// miner takes now, besides what its slots allow.
  func placement(of requirements: Requirements, demand: [MinerID: Int]) -> Opening? {
    guard !isClaiming else { return nil }
    let best = fleet.available
      .filter { demand[$0.record.id] ?? 0 > 0 && requirements.missing(in: $0.record.offer).isEmpty }
      .min { $0.comes(before: $1) }
    return best.map { Opening(miner: $0.record.id, classes: [], count: 1, leaseTerm: $0.leaseTerm) }
  }

  /// A claim is on its way to the disk.
  var isClaiming: Bool { endedEarly != nil }

  /// A claim begins; it ends with ``granted(_:to:at:)``, with nil when it failed. False while another is on its way.
  @discardableResult
  mutating func beginClaim() -> Bool {
    guard !isClaiming else { return false }
    endedEarly = []
    return true
  }

  /// The claim is durable: its leases begin to run. Returns what the miner is to be told now.
  mutating func granted(_ outcome: Claim.Outcome?, to opening: Opening, at now: MonotonicTime) -> [MinerCommand] {
    let (miner, endedEarly) = (opening.miner, endedEarly ?? [])
    self.endedEarly = nil
    guard let outcome else { return [] }
    heldBack.formUnion(outcome.fullAccounts)
    var commands: [MinerCommand] = []
    // A miner that came back meanwhile and did not know of a try has given it back already.
    for item in outcome.claimed where !endedEarly.contains(item.attempt.leaseHash) {
      let hash = item.attempt.leaseHash
      grant(item.attempt, token: item.lease, term: opening.leaseTerm, at: now)
      fleet.hold(hash, by: miner)
      commands.append(
        .assign(
          Assignment(
            job: item.job.id, tryNumber: item.attempt.number, attempt: item.job.attempt, lease: item.lease,
            leaseMilliseconds: (opening.leaseTerm ?? term).milliseconds, specification: item.job.specification)))
      // A cancel may have come between the commit and here.
      if let grace = cancels[hash] {
        leases.stop(hash, within: grace, for: .cancel, at: now)
        commands.append(.cancel(lease: item.lease, grace: grace))
      } else {
        leases.stop(hash, within: Self.preparation(of: item.job), for: .start, at: now)
      }
    }
    guard fleet.members[miner]?.isWelcome == true else {
      if !commands.isEmpty { undelivered[miner, default: []] += commands }
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
      if let lease = leases.leases[attempt.leaseHash], !lease.isRevoked { resumed.append(lease) }
    }
    let connection = fleet.connect(record, held: Set(held.map(\.leaseHash)))
    return (connection, resumed, held.filter { tokens[$0.leaseHash] == nil })
  }

  /// A miner that speaks REST was heard: it is a member, and what the rows say it holds goes on. Leases that are live
  /// keep their deadline. `isLinked`: it is connected already, and only what it offers may be new. Returns what could
  /// not be told it before.
  mutating func attach(
    _ record: MinerRecord, isLinked: Bool, held: [TryRecord], term: Seconds, at now: MonotonicTime
  ) -> (connection: Int, commands: [MinerCommand]) {
    for attempt in held where leases.leases[attempt.leaseHash]?.term != term {
      grant(attempt, token: leases.leases[attempt.leaseHash]?.token, term: term, at: now)
    }
    if let member = fleet.members[record.id], isLinked {
      fleet.update(record)
      return (member.connection, [])
    }
    let connection = fleet.connect(record, held: Set(held.map(\.leaseHash)), leaseTerm: term)
    return (connection, welcome(record.id, connection: connection))
  }

  /// What becomes of a try that the rows give to a miner but that it does not name.
  enum GiveBack: Sendable {
    case lose(LeaseTable.Lease, reason: String)
    case refuse(LeaseTable.Lease, reason: String)

    /// A miner that forgot everything (`isFresh`) may have started it: the try counts. One that remembers never got it:
    /// it goes back for nothing.
    init(_ attempt: TryRecord, isFresh: Bool, at now: MonotonicTime) {
      let lease = LeaseTable.Lease(ending: attempt, at: now)
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

  /// The administrator's word.
  mutating func setDraining(_ miner: MinerID, _ isDraining: Bool) { fleet.setDraining(miner, isDraining) }

  /// The administrator removed it.
  mutating func remove(_ miner: MinerID) {
    undelivered[miner] = nil
    if let member = fleet.members[miner] { _ = fleet.disconnect(miner, connection: member.connection) }
  }

  /// Renews what the miner names. Returns milliseconds of life for each that is its own, and the tokens that are not.
  mutating func renew(
    _ tokens: [String], of miner: MinerID, at now: MonotonicTime, wall: Timestamp
  ) -> (renewed: [String: Int64], lost: [String]) {
    fleet.heard(miner, at: wall)
    var renewed: [String: Int64] = [:]
    var lost: [String] = []
    for token in tokens {
      if let lease = leases.renew(token: token, hash: LeaseToken.hash(token), miner: miner, at: now) {
        renewed[token] = lease.term.milliseconds
      } else {
        lost.append(token)
      }
    }
    return (renewed, lost)
  }

  /// Renews leases by their hashes; those that are another's or over are left alone.
  mutating func renew(hashes: [String], of miner: MinerID, at now: MonotonicTime, wall: Timestamp) {
    fleet.heard(miner, at: wall)
    for hash in hashes { leases.renew(hash: hash, miner: miner, at: now) }
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
  mutating func cancel(_ hash: String, grace: Seconds, at now: MonotonicTime) -> LeaseTable.Lease? {
    cancels[hash] = grace
    leases.stop(hash, within: grace, for: .cancel, at: now)
    return leases.leases[hash]
  }

  /// The program of a try runs, for no longer than its time-out.
  mutating func started(_ hash: String, timeout: Seconds, at now: MonotonicTime) {
    guard cancels[hash] == nil else { return }
    leases.stop(hash, within: timeout, for: .timeout, at: now)
  }

  /// Leases that are taken back because their miners did not stop the job in time.
  mutating func revokeOverruns(at now: MonotonicTime) -> [LeaseTable.Lease] { leases.revokeOverruns(at: now) }

  /// The live leases of a miner, and the grace of those that are being canceled.
  func held(by miner: MinerID) -> (leases: [LeaseTable.Lease], cancels: [String: Seconds]) {
    let held = leases.held(by: miner)
    let hashes = Set(held.map(\.hash))
    return (held, cancels.filter { hashes.contains($0.key) })
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
