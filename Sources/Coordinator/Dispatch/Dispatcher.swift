import Clocks
import Instruments
import Logging
import Marketplace
import Store
import Synchronization
import Wire

/// Brings pending jobs to miners with free slots, and keeps the leases.
///
/// The decisions stand in ``DispatchState``; this class holds it under one lock that is never held across a wait. One
/// task (``run()``) claims; everybody else only wakes it.
final class Dispatcher: Sendable {
  private struct State {
    var decisions: DispatchState
    var links: [MinerID: any MinerLink] = [:]
  }

  private let state: Mutex<State>
  private let store: any MarketStore
  private let clock: any MarketClock
  private let log: Logger
  /// On a full disk no job is placed: nobody could keep what it writes.
  private let reserve: DiskReserve?
  /// Jobs of one account that miners may hold at once; nil: by its plan.
  private let runningLimit: Int?
  private let metrics: LeaseMetrics
  private let wakeups: AsyncStream<Void>
  private let wakeup: AsyncStream<Void>.Continuation

  init(
    store: any MarketStore, clock: any MarketClock, leaseTerm: Seconds, runningLimit: Int? = nil, log: Logger,
    reserve: DiskReserve? = nil, metrics: LeaseMetrics = LeaseMetrics()
  ) {
    self.metrics = metrics
    self.reserve = reserve
    self.runningLimit = runningLimit
    self.store = store
    self.clock = clock
    self.log = log
    state = Mutex(State(decisions: DispatchState(leaseTerm: leaseTerm)))
    (wakeups, wakeup) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// Something changed that may let a job be placed.
  func wake() { wakeup.yield() }

  /// Takes the leases of the rows back after a start; each lives a full term from now.
  func restore() async throws {
    let found = try await store.read { try DispatchState.Found(in: $0) }
    let held = found.held
    let (now, wall) = (clock.monotonic, clock.now)
    state.withLock { $0.decisions.restore(found, at: now, wall: wall) }
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
    let (members, links) = state.withLock { ($0.decisions.fleet.available, $0.links) }
    // Outside the lock: a link has its own. Of thousands few may want something: only these are put in order.
    let wanting = members.compactMap { member -> (member: Fleet.Member, demand: Int)? in
      let demand = links[member.record.id]?.demand ?? 0
      return demand > 0 ? (member, demand) : nil
    }.sorted { $0.member.comes(before: $1.member) }
    guard !wanting.isEmpty, reserve?.isSpent != true else { return false }
    try await releaseHeldBack()
    let classes = try await store.read { try $0.pendingClasses() }
    var hasPlaced = false
    for opening in DispatchState.openings(for: wanting, classes: classes) {
      hasPlaced = try await claim(opening) || hasPlaced
    }
    return hasPlaced
  }

  /// Jobs of accounts that may run more again go back among the others.
  private func releaseHeldBack() async throws {
    guard !state.withLock({ $0.decisions.heldBack.isEmpty }) else { return }
    let operation = HeldBackRelease(runningLimit: runningLimit)
    let found = try await store.read { try operation.look(in: $0) }
    let left = found.isDue ? try await store.write { try operation.run(in: $0) } : found.accounts
    state.withLock { $0.decisions.heldBack = left }
  }

  private func claim(_ opening: DispatchState.Opening) async throws -> Bool {
    guard let asked = state.withLock({ $0.links[opening.miner] }) else { return false }
    let count = asked.beginClaim(of: opening.count)
    defer { asked.endClaim() }
    guard count > 0 else { return false }
    let leases = (0..<count).map { _ in LeaseToken.make() }
    let operation = Claim(
      miner: opening.miner, classes: opening.classes, leases: leases, now: clock.now, runningLimit: runningLimit)
    state.withLock { $0.decisions.beginClaim() }
    let result: Result<Claim.Outcome, any Error>
    do {
      result = .success(try await store.write { try operation.outcome(in: $0) })
    } catch {
      result = .failure(error)
    }
    let start = clock.monotonic
    let (link, commands) = state.withLock { state in
      (state.links[opening.miner], state.decisions.granted(try? result.get(), to: opening, at: start))
    }
    for command in commands { link?.send(command) }
    let outcome = try result.get()
    // Behind those that were held back others may stand.
    return !outcome.claimed.isEmpty || !outcome.heldBack.isEmpty
  }
}

// MARK: - Miners

extension Dispatcher {
  /// A miner introduced itself, see ``DispatchState/connect(_:named:held:at:)``.
  func connect(
    _ record: MinerRecord, link: any MinerLink, named: [String], held: [TryRecord]
  ) -> (connection: Int, resumed: [LeaseTable.Lease], unnamed: [TryRecord]) {
    let now = clock.monotonic
    let (former, answer) = state.withLock { state in
      let answer = state.decisions.connect(record, named: named, held: held, at: now)
      return (state.links.updateValue(link, forKey: record.id), answer)
    }
    former?.replace()
    return answer
  }

  /// A miner that speaks REST was heard, see ``DispatchState/attach(_:isLinked:held:term:at:)``. Returns the
  /// connection's number.
  func attach(_ record: MinerRecord, link: any MinerLink, held: [TryRecord], term: Seconds) -> Int {
    let now = clock.monotonic
    let (former, connection, commands) = state.withLock { state in
      let former = state.links.updateValue(link, forKey: record.id)
      let answer = state.decisions.attach(record, isLinked: former === link, held: held, term: term, at: now)
      return (former, answer.connection, answer.commands)
    }
    if let former, former !== link { former.replace() }
    for command in commands { link.send(command) }
    wake()
    return connection
  }

  /// The live leases of a miner, and the grace of those that are being canceled.
  func held(by miner: MinerID) -> (leases: [LeaseTable.Lease], cancels: [String: Seconds]) {
    state.withLock { $0.decisions.held(by: miner) }
  }

  /// Renews leases by their hashes; those that are another's or over are left alone.
  func renew(hashes: [String], of miner: MinerID) {
    let (now, wall) = (clock.monotonic, clock.now)
    state.withLock { $0.decisions.renew(hashes: hashes, of: miner, at: now, wall: wall) }
    metrics.renewed.add(hashes.count)
  }

  /// The administrator lets a miner drain, or take work again.
  func setDraining(_ miner: MinerID, _ isDraining: Bool) {
    let link = state.withLock { state in
      state.decisions.setDraining(miner, isDraining)
      return state.links[miner]
    }
    if isDraining { link?.send(.drain) } else { wake() }
  }

  /// The administrator removed a miner: it must leave.
  func remove(_ miner: MinerID) {
    let link = state.withLock { state in
      state.decisions.remove(miner)
      return state.links.removeValue(forKey: miner)
    }
    link?.dismiss(.removed)
  }

  /// The miner has its welcome and may get work.
  func welcomed(_ miner: MinerID, connection: Int) {
    let (link, commands) = state.withLock { state in
      (state.links[miner], state.decisions.welcome(miner, connection: connection))
    }
    for command in commands { link?.send(command) }
    wake()
  }

  /// A connection ended. Its leases run on: the miner may be back in time.
  func disconnect(_ miner: MinerID, connection: Int) {
    state.withLock { state in
      if state.decisions.disconnect(miner, connection: connection) { state.links[miner] = nil }
    }
  }

  func drain(_ miner: MinerID) { state.withLock { $0.decisions.drain(miner) } }

  /// Takes a message, see ``DispatchState/receive(_:from:at:wall:)``.
  func receive(_ message: MinerMessage, from miner: MinerID) -> (replies: [MinerCommand], work: MinerWork?) {
    let (now, wall) = (clock.monotonic, clock.now)
    let answer = state.withLock { $0.decisions.receive(message, from: miner, at: now, wall: wall) }
    if case .leases(let renewed, _)? = answer.replies.first { metrics.renewed.add(renewed.count) }
    return answer
  }

  /// Ends the connections that a key opened. Their leases run out, unless the miners come back with another key.
  func revoke(keyHash: String) {
    let links = state.withLock { state in state.links.values.filter { $0.keyHash == keyHash } }
    for link in links { link.dismiss(.keyRevoked) }
  }

  /// Renews what the miner names. Returns milliseconds of life for each that is its own, and the tokens that are not.
  func renew(_ tokens: [String], of miner: MinerID) -> (renewed: [String: Int64], lost: [String]) {
    let (now, wall) = (clock.monotonic, clock.now)
    let answer = state.withLock { $0.decisions.renew(tokens, of: miner, at: now, wall: wall) }
    metrics.renewed.add(answer.renewed.count)
    return answer
  }

  /// The live lease behind a token, whoever holds it.
  func lease(token: String) -> LeaseTable.Lease? { state.withLock { $0.decisions.lease(token: token) } }

  /// Whether a lease of this hash is held.
  func isLive(_ leaseHash: String) -> Bool { state.withLock { $0.decisions.leases.leases[leaseHash] != nil } }

  /// The try is over: its slot is free.
  func release(_ leaseHash: String) {
    state.withLock { $0.decisions.release(leaseHash) }
    wake()
  }

  /// Tells the miner to stop a try, now or when it is back.
  func cancel(_ leaseHash: String, grace: Seconds) {
    let now = clock.monotonic
    let target = state.withLock { state -> (link: any MinerLink, token: String)? in
      guard let lease = state.decisions.cancel(leaseHash, grace: grace, at: now), let token = lease.token,
        let link = state.links[lease.miner]
      else { return nil }
      return (link, token)
    }
    target?.link.send(.cancel(lease: target?.token ?? "", grace: grace))
  }

  /// The program of a try runs, for no longer than its time-out.
  func started(_ leaseHash: String, timeout: Seconds) {
    let now = clock.monotonic
    state.withLock { $0.decisions.started(leaseHash, timeout: timeout, at: now) }
  }

  /// Leases that are taken back because their miners did not stop the job in time, with the links to tell them.
  func revokeOverruns() -> [(lease: LeaseTable.Lease, link: (any MinerLink)?)] {
    let now = clock.monotonic
    return state.withLock { state in
      state.decisions.revokeOverruns(at: now).map { ($0, state.links[$0.miner]) }
    }
  }

  /// Accounts that run as many jobs as they may, while others of theirs wait.
  var accountsHeldBack: Set<AccountID> { state.withLock { $0.decisions.heldBack } }

  /// Cancels that a returning miner may not have heard.
  func pendingCancels(of resumed: [LeaseTable.Lease]) -> [MinerCommand] {
    state.withLock { $0.decisions.pendingCancels(of: resumed) }
  }

  /// Leases whose time is over, with the miner's link if it is connected all the same.
  func overdueLeases() -> [(lease: LeaseTable.Lease, link: (any MinerLink)?)] {
    let now = clock.monotonic
    return state.withLock { state in
      state.decisions.overdue(at: now).map { ($0, state.links[$0.miner]) }
    }
  }

  /// Tries that miners hold.
  var leaseCount: Int { state.withLock { $0.decisions.leases.leases.count } }

  /// The connected miners as they stand now.
  var members: [Fleet.Member] { state.withLock { Array($0.decisions.fleet.members.values) } }

  /// Whose miner it is, when it is connected.
  func account(of miner: MinerID) -> AccountID? {
    state.withLock { $0.decisions.fleet.members[miner]?.record.account }
  }

  func status(of miner: MinerID) -> MinerStatus { state.withLock { $0.decisions.fleet.status(of: miner) } }
}
