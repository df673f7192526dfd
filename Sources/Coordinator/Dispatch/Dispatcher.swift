import Clocks
import Logging
import Marketplace
import Store
import Synchronization
import Wire

/// Brings pending jobs to miners with free slots, and keeps the leases.
///
/// The decisions stand in ``Fleet`` and ``LeaseTable``; this class holds them under one lock that is never held across
/// a wait. One task (``run()``) claims; everybody else only wakes it.
final class Dispatcher: Sendable {
  private struct State {
    var fleet = Fleet()
    var leases: LeaseTable
    var links: [MinerID: any MinerLink] = [:]
    /// Leases that end at the miner while their cancel has not been sent, with the grace.
    var cancels: [String: Seconds] = [:]
    /// Accounts that run as many jobs as they may, while others of theirs wait.
    var heldBack: Set<AccountID> = []
  }

  /// The term of a REST miner's leases: its heartbeats come more seldom.
  static func restTerm(_ term: Seconds) -> Seconds { Seconds(milliseconds: term.milliseconds * 2) }

  /// A claim gives at most this many jobs to one miner, so that one commit stays short.
  static let largestClaim = 256

  private let state: Mutex<State>
  private let store: any MarketStore
  private let clock: any MarketClock
  private let log: Logger
  /// On a full disk no job is placed: nobody could keep what it writes.
  private let reserve: DiskReserve?
  /// Jobs of one account that miners may hold at once; nil: by its plan.
  private let runningLimit: Int?
  private let wakeups: AsyncStream<Void>
  private let wakeup: AsyncStream<Void>.Continuation

  init(
    store: any MarketStore, clock: any MarketClock, leaseTerm: Seconds, runningLimit: Int? = nil, log: Logger,
    reserve: DiskReserve? = nil
  ) {
    self.reserve = reserve
    self.runningLimit = runningLimit
    self.store = store
    self.clock = clock
    self.log = log
    state = Mutex(State(leases: LeaseTable(term: leaseTerm)))
    (wakeups, wakeup) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// Something changed that may let a job be placed.
  func wake() { wakeup.yield() }

  /// Takes the leases of the rows back after a start; each lives a full term from now.
  func restore() async throws {
    let (held, heldBack, polling) = try await store.read { market in
      (
        try market.heldTries().map { attempt in (attempt: attempt, job: try market.job(attempt.job)) },
        try market.accountsHeldBack(), Set(try market.miners().filter(\.isPolling).map(\.id))
      )
    }
    let now = clock.monotonic
    let wall = clock.now
    state.withLock { state in
      state.heldBack = Set(heldBack)
      for (attempt, job) in held {
        state.leases.grant(
          hash: attempt.leaseHash, job: attempt.job, tryNumber: attempt.number, miner: attempt.miner, token: nil,
          term: polling.contains(attempt.miner) ? Self.restTerm(state.leases.term) : nil, at: now)
        if let job, job.state == .canceling, let cancel = job.cancel {
          state.cancels[attempt.leaseHash] = cancel.grace
          state.leases.stop(attempt.leaseHash, within: cancel.grace, for: .cancel, at: now)
        } else if let job, let startedAt = attempt.startedAt {
          let ran = max(0, wall.millisecondsSince(startedAt))
          let left = Seconds(milliseconds: max(0, job.specification.timeout.milliseconds - ran))
          state.leases.stop(attempt.leaseHash, within: left, for: .timeout, at: now)
        } else if let job {
          state.leases.stop(attempt.leaseHash, within: Self.preparation(of: job), for: .start, at: now)
        }
      }
    }
    if !held.isEmpty { log.info("re-attached running jobs", metadata: ["count": "\(held.count)"]) }
  }

  /// Claims until it is canceled.
  func run() async {
    wake()
    for await _ in wakeups {
      do {
        while try await claimOnce() {}
      } catch is CancellationError {
        return
      } catch {
        log.error("claiming failed; trying again", metadata: ["error": "\(error)"])
        guard (try? await clock.sleep(for: Seconds(1))) != nil else { return }
        wake()
      }
    }
  }

  /// One round over the miners with free slots. True when jobs were placed, so that another round may place more.
  func claimOnce() async throws -> Bool {
    let (members, links) = state.withLock { ($0.fleet.available, $0.links) }
    // Outside the lock: a link has its own.
    let available = members.compactMap { member -> (member: Fleet.Member, capacity: Int)? in
      let capacity = min(member.freeSlots, links[member.record.id]?.demand ?? 0)
      return capacity > 0 ? (member, capacity) : nil
    }
    guard !available.isEmpty, reserve?.isSpent != true else { return false }
    try await releaseHeldBack()
    let classes = try await store.read { try $0.pendingClasses() }.filter { $0.ready > 0 }
    guard !classes.isEmpty else { return false }
    var hasPlaced = false
    for (member, capacity) in available {
      let fitting = classes.filter { $0.requirements.missing(in: member.record.offer).isEmpty }.map(\.id)
      guard !fitting.isEmpty else { continue }
      hasPlaced = try await claim(for: member, capacity: capacity, classes: fitting) || hasPlaced
    }
    return hasPlaced
  }

  /// Jobs of accounts that may run more again go back among the others.
  private func releaseHeldBack() async throws {
    guard !state.withLock({ $0.heldBack.isEmpty }) else { return }
    let operation = HeldBackRelease(runningLimit: runningLimit)
    let found = try await store.read { try operation.look(in: $0) }
    let left = found.isDue ? try await store.write { try operation.run(in: $0) } : found.accounts
    state.withLock { $0.heldBack = left }
  }

  /// How long a miner may take to start a job: fetching inputs takes its time.
  private static func preparation(of job: Job) -> Seconds {
    max(job.specification.timeToLive, JobSpecification.defaultTimeToLive)
  }

  private func claim(for member: Fleet.Member, capacity: Int, classes: [Int64]) async throws -> Bool {
    let miner = member.record.id
    let leases = (0..<min(capacity, Self.largestClaim)).map { _ in LeaseToken.make() }
    let now = clock.now
    let operation = Claim(miner: miner, classes: classes, leases: leases, now: now, runningLimit: runningLimit)
    let outcome = try await store.write { try operation.outcome(in: $0) }
    let claimed = outcome.claimed
    let start = clock.monotonic
    let (link, term, cancels) = state.withLock { state in
      var cancels: [String: Seconds] = [:]
      state.heldBack.formUnion(outcome.fullAccounts)
      for item in claimed {
        // A cancel may have come between the commit and here.
        cancels[item.lease] = state.cancels[item.attempt.leaseHash]
        state.leases.grant(
          hash: item.attempt.leaseHash, job: item.job.id, tryNumber: item.attempt.number, miner: miner,
          token: item.lease, term: member.leaseTerm, at: start)
        state.fleet.hold(item.attempt.leaseHash, by: miner)
        if let grace = cancels[item.lease] {
          state.leases.stop(item.attempt.leaseHash, within: grace, for: .cancel, at: start)
        } else {
          state.leases.stop(item.attempt.leaseHash, within: Self.preparation(of: item.job), for: .start, at: start)
        }
      }
      return (state.links[miner], member.leaseTerm ?? state.leases.term, cancels)
    }
    // A miner that left meanwhile gets none of these messages; at its return it does not name the leases, and they go
    // back to the queue.
    for item in claimed {
      link?.send(
        .assign(
          Assignment(
            job: item.job.id, tryNumber: item.attempt.number, attempt: item.job.attempt, lease: item.lease,
            leaseMilliseconds: term.milliseconds, specification: item.job.specification)))
      if let grace = cancels[item.lease] { link?.send(.cancel(lease: item.lease, grace: grace)) }
    }
    // Behind those that were held back others may stand.
    return !claimed.isEmpty || !outcome.heldBack.isEmpty
  }
}

// MARK: - Miners

extension Dispatcher {
  /// A miner introduced itself. Held leases that it names go on; returns those that are its own, and those it did not
  /// name although the rows say it has them.
  func connect(
    _ record: MinerRecord, link: any MinerLink, named: [String], held: [TryRecord]
  ) -> (connection: Int, resumed: [LeaseTable.Lease], unnamed: [TryRecord]) {
    let now = clock.monotonic
    let tokens = Dictionary(named.map { (LeaseToken.hash($0), $0) }, uniquingKeysWith: { first, _ in first })
    let (former, answer) = state.withLock { state in
      var resumed: [LeaseTable.Lease] = []
      for attempt in held {
        guard let token = tokens[attempt.leaseHash] else { continue }
        state.leases.grant(
          hash: attempt.leaseHash, job: attempt.job, tryNumber: attempt.number, miner: record.id, token: token, at: now)
        if let lease = state.leases.leases[attempt.leaseHash], !lease.isRevoked { resumed.append(lease) }
      }
      let connection = state.fleet.connect(record, held: Set(held.map(\.leaseHash)))
      let unnamed = held.filter { tokens[$0.leaseHash] == nil }
      return (state.links.updateValue(link, forKey: record.id), (connection, resumed, unnamed))
    }
    former?.replace()
    return answer
  }

  /// A miner that speaks REST was heard: it is a member, and what the rows say it holds goes on. Leases that are live
  /// keep their deadline. Returns the connection's number.
  func attach(_ record: MinerRecord, link: any MinerLink, held: [TryRecord], term: Seconds) -> Int {
    let now = clock.monotonic
    let (former, connection) = state.withLock { state -> ((any MinerLink)?, Int) in
      for attempt in held where state.leases.leases[attempt.leaseHash]?.term != term {
        state.leases.grant(
          hash: attempt.leaseHash, job: attempt.job, tryNumber: attempt.number, miner: record.id,
          token: state.leases.leases[attempt.leaseHash]?.token, term: term, at: now)
      }
      // Connected already: only what it offers may be new.
      if let member = state.fleet.members[record.id], state.links[record.id] === link {
        state.fleet.update(record)
        return (link, member.connection)
      }
      let connection = state.fleet.connect(record, held: Set(held.map(\.leaseHash)), leaseTerm: term)
      state.fleet.welcome(record.id, connection: connection)
      return (state.links.updateValue(link, forKey: record.id), connection)
    }
    if let former, former !== link { former.replace() }
    wake()
    return connection
  }

  /// The live leases of a miner, and the grace of those that are being canceled.
  func held(by miner: MinerID) -> (leases: [LeaseTable.Lease], cancels: [String: Seconds]) {
    state.withLock { state in
      let leases = state.leases.held(by: miner)
      let hashes = Set(leases.map(\.hash))
      return (leases, state.cancels.filter { hashes.contains($0.key) })
    }
  }

  /// Renews leases by their hashes; those that are another's or over are left alone.
  func renew(hashes: [String], of miner: MinerID) {
    let (now, wall) = (clock.monotonic, clock.now)
    state.withLock { state in
      state.fleet.heard(miner, at: wall)
      for hash in hashes { state.leases.renew(hash: hash, miner: miner, at: now) }
    }
  }

  /// The administrator lets a miner drain, or take work again.
  func setDraining(_ miner: MinerID, _ isDraining: Bool) {
    let link = state.withLock { state in
      state.fleet.setDraining(miner, isDraining)
      return state.links[miner]
    }
    if isDraining { link?.send(.drain) } else { wake() }
  }

  /// The administrator removed a miner: it must leave.
  func remove(_ miner: MinerID) {
    let link = state.withLock { state in
      if let member = state.fleet.members[miner] {
        _ = state.fleet.disconnect(miner, connection: member.connection)
      }
      return state.links.removeValue(forKey: miner)
    }
    link?.dismiss(.removed)
  }

  /// The miner has its welcome and may get work.
  func welcomed(_ miner: MinerID, connection: Int) {
    state.withLock { $0.fleet.welcome(miner, connection: connection) }
    wake()
  }

  /// A connection ended. Its leases run on: the miner may be back in time.
  func disconnect(_ miner: MinerID, connection: Int) {
    state.withLock { state in
      if state.fleet.disconnect(miner, connection: connection) { state.links[miner] = nil }
    }
  }

  func drain(_ miner: MinerID) { state.withLock { $0.fleet.drain(miner) } }

  /// Ends the connections that a key opened. Their leases run out, unless the miners come back with another key.
  func revoke(keyHash: String) {
    let links = state.withLock { state in state.links.values.filter { $0.keyHash == keyHash } }
    for link in links { link.dismiss(.keyRevoked) }
  }

  /// Renews what the miner names. Returns milliseconds of life for each that is its own, and the tokens that are not.
  func renew(_ tokens: [String], of miner: MinerID) -> (renewed: [String: Int64], lost: [String]) {
    let now = clock.monotonic
    let wall = clock.now
    return state.withLock { state in
      state.fleet.heard(miner, at: wall)
      var renewed: [String: Int64] = [:]
      var lost: [String] = []
      for token in tokens {
        if state.leases.renew(token: token, hash: LeaseToken.hash(token), miner: miner, at: now) != nil {
          renewed[token] = state.leases.leases[LeaseToken.hash(token)]?.term.milliseconds ?? 0
        } else {
          lost.append(token)
        }
      }
      return (renewed, lost)
    }
  }

  /// The live lease behind a token, whoever holds it.
  func lease(token: String) -> LeaseTable.Lease? {
    let hash = LeaseToken.hash(token)
    return state.withLock { state in state.leases.leases[hash] }
  }

  /// The try is over: its slot is free.
  func release(_ leaseHash: String) {
    state.withLock { state in
      guard let lease = state.leases.end(hash: leaseHash) else { return }
      state.cancels[leaseHash] = nil
      state.fleet.release(leaseHash, by: lease.miner)
    }
    wake()
  }

  /// Tells the miner to stop a try, now or when it is back.
  func cancel(_ leaseHash: String, grace: Seconds) {
    let now = clock.monotonic
    let target = state.withLock { state -> (link: any MinerLink, token: String)? in
      state.cancels[leaseHash] = grace
      state.leases.stop(leaseHash, within: grace, for: .cancel, at: now)
      guard let lease = state.leases.leases[leaseHash], let token = lease.token, let link = state.links[lease.miner]
      else { return nil }
      return (link, token)
    }
    target?.link.send(.cancel(lease: target?.token ?? "", grace: grace))
  }

  /// The program of a try runs, for no longer than its time-out.
  func started(_ leaseHash: String, timeout: Seconds) {
    let now = clock.monotonic
    state.withLock { state in
      guard state.cancels[leaseHash] == nil else { return }
      state.leases.stop(leaseHash, within: timeout, for: .timeout, at: now)
    }
  }

  /// Leases that are taken back because their miners did not stop the job in time, with the links to tell them.
  func revokeOverruns() -> [(lease: LeaseTable.Lease, link: (any MinerLink)?)] {
    let now = clock.monotonic
    return state.withLock { state in
      state.leases.revokeOverruns(at: now).map { ($0, state.links[$0.miner]) }
    }
  }

  /// Accounts that run as many jobs as they may, while others of theirs wait.
  var accountsHeldBack: Set<AccountID> { state.withLock { $0.heldBack } }

  /// Cancels that a returning miner may not have heard.
  func pendingCancels(of resumed: [LeaseTable.Lease]) -> [(token: String, grace: Seconds)] {
    state.withLock { state in
      resumed.compactMap { lease in
        guard let token = lease.token, let grace = state.cancels[lease.hash] else { return nil }
        return (token, grace)
      }
    }
  }

  /// Leases whose time is over, with the miner's link if it is connected all the same.
  func overdueLeases() -> [(lease: LeaseTable.Lease, link: (any MinerLink)?)] {
    let now = clock.monotonic
    return state.withLock { state in
      state.leases.sweep(at: now).map { ($0, state.links[$0.miner]) }
    }
  }

  /// The connected miners as they stand now.
  var members: [Fleet.Member] { state.withLock { Array($0.fleet.members.values) } }

  /// Whose miner it is, when it is connected.
  func account(of miner: MinerID) -> AccountID? { state.withLock { $0.fleet.members[miner]?.record.account } }

  func status(of miner: MinerID) -> MinerStatus { state.withLock { $0.fleet.status(of: miner) } }
}
