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
  struct State {
    var decisions: DispatchState
    var links: [MinerID: any MinerLink] = [:]
    /// How often ``wake()`` was called.
    var news = 0
    /// The ``news`` as of which nothing was claimable, by anybody.
    var nothingAt: Int?
    /// A round found a claim in its way and left.
    var mustLookAgain = false

    /// As far as is known. Not known to be wrong: every job that comes to be claimable calls ``wake()``.
    var isNothingClaimable: Bool { nothingAt == news }
  }

  let state: Mutex<State>
  private let store: any MarketStore
  let clock: any MarketClock
  private let log: Logger
  /// On a full disk no job is placed: nobody could keep what it writes.
  let reserve: DiskReserve?
  /// Jobs of one account that miners may hold at once; nil: by its plan.
  let runningLimit: Int?
  let metrics: LeaseMetrics
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
  func wake() {
    state.withLock { $0.news += 1 }
    wakeup.yield()
  }

  /// A slot is free. Nobody need look when nothing was claimable and nothing has come since.
  func wakeForRoom() {
    if !state.withLock({ $0.isNothingClaimable }) { wakeup.yield() }
  }

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
    let (links, news) = state.withLock { ($0.links, $0.news) }
    // Outside the lock: a link has its own. Of thousands few may want something: only these are looked at.
    let demands = links.compactMap { miner, link in
      let demand = link.demand
      return demand > 0 ? (miner: miner, demand: demand) : nil
    }
    guard !demands.isEmpty else { return false }
    let wanting = state.withLock { state in
      let members = state.decisions.fleet.members
      return demands.compactMap { miner, demand -> (member: Fleet.Member, demand: Int)? in
        guard let member = members[miner], member.freeSlots > 0 else { return nil }
        return (member, demand)
      }
    }.sorted { $0.member.comes(before: $1.member) }
    guard !wanting.isEmpty, reserve?.isSpent != true else { return false }
    try await releaseHeldBack()
    let classes = try await store.read { try $0.pendingClasses() }
    guard classes.contains(where: { $0.ready > 0 }) else {
      state.withLock { if $0.decisions.heldBack.isEmpty { $0.nothingAt = news } }
      return false
    }
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
    guard let asked = beginClaim(for: opening.miner) else { return false }
    let count = asked.beginClaim(of: opening.count)
    defer { asked.endClaim() }
    guard count > 0 else {
      deliver(nil, to: opening)
      return false
    }
    let leases = (0..<count).map { _ in LeaseToken.make() }
    let operation = Claim(
      miner: opening.miner, classes: opening.classes, leases: leases, now: clock.now, runningLimit: runningLimit)
    do {
      let outcome = try await store.write { try operation.outcome(in: $0) }
      deliver(outcome, to: opening)
      // Behind those that were held back others may stand.
      return !outcome.claimed.isEmpty || !outcome.heldBack.isEmpty
    } catch {
      deliver(nil, to: opening)
      throw error
    }
  }

  /// Nil when the miner has gone, or while another claim is on its way: who made that one wakes this.
  private func beginClaim(for miner: MinerID) -> (any MinerLink)? {
    state.withLock { state in
      guard let link = state.links[miner] else { return nil }
      guard state.decisions.beginClaim() else {
        state.mustLookAgain = true
        return nil
      }
      return link
    }
  }

  /// Ends a claim; nil: it failed, or there was none. Tells the miner what it got.
  func deliver(_ outcome: Claim.Outcome?, to opening: DispatchState.Opening) {
    let start = clock.monotonic
    let (link, commands) = state.withLock { state in
      (state.links[opening.miner], state.decisions.granted(outcome, to: opening, at: start))
    }
    for command in commands { link?.send(command) }
  }
}
