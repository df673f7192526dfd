import Clocks
import Marketplace
import Store
import StoreInMemory
import Wire

@testable import Coordinator

typealias MinerLine = Link<MinerMessage, MinerCommand>

/// A coordinator: the product's decisions (``DispatchState``, the operations of the store, the feed's machines) on a
/// store in memory, with the waits between them. What it holds in memory is gone when it dies; the store is not.
final class SimCoordinator: @unchecked Sendable {
  let world: World
  let faults: Faults
  let sabotage: Breakage?
  let host: Host
  let store: MemoryStore
  let account: Account
  let checks: Checks
  let configuration: CoordinatorConfiguration
  var dispatch: DispatchState
  var links: [MinerID: SimSession] = [:]
  var sessions: [SimSession] = []
  var feeds: [SimFeed] = []
  var topics: [TopicKey: TopicRun<JobEvent>] = [:]
  var published: Int64 = 0
  var isClaiming = false
  var mustClaim = false
  /// Until then its disk was full or it stood still.
  var troubledUntil: Int64 = 0
  private var idleLooks = 0
  private var waiting: [Operation] = []
  private var isCommitting = false
  /// Every lease ever given, for a coordinator whose fence is broken on purpose.
  var remembered: [String: LeaseTable.Lease] = [:]

  /// One write that waits: `run` gives what is to be answered.
  private struct Operation {
    let name: String
    let run: (MemoryStore) -> (() -> Void)
  }

  init(_ world: World, _ faults: Faults, _ checks: Checks, sabotage: Breakage?) {
    self.world = world
    self.faults = faults
    self.checks = checks
    self.sabotage = sabotage
    let clock = HostClock(world, boot: 5_000_000, drift: world.number(-2...2))
    host = Host(world, name: "coordinator", clock: clock)
    store = MemoryStore(clock: clock, sabotage: sabotage?.store ?? [])
    account = Account(id: world.newID(), name: "default", plan: .free, createdAt: World.start)
    var configuration = CoordinatorConfiguration()
    configuration.leaseTerm = faults.leaseTerm
    self.configuration = configuration
    dispatch = DispatchState(leaseTerm: faults.leaseTerm)
    checks.store = store
    _ = try? store.perform { try $0.save(self.account) }
    _ = store.sync()
    begin()
  }

  var monotonic: MonotonicTime { host.clock.monotonic }

  // MARK: Life

  private func begin() {
    host.every(250) { self.expireLeases() }
    host.every(1_000) { self.revokeOverruns() }
    host.every(1_000) { self.expireQueue() }
    host.every(500) { self.releaseAvailable() }
    host.every(1_000) { self.sweepFeeds() }
    host.every(5_000) { self.checkTimeliness() }
    troubledUntil = max(troubledUntil, world.now)
    idleLooks = 0
    wake()
  }

  /// What a coordinator in health does in time: leases that are over are taken away, and no miner idles while a job
  /// that fits it waits.
  private func checkTimeliness() {
    guard world.now > troubledUntil + 10_000 else { return idleLooks = 0 }
    let late = dispatch.leases.leases.values.filter { (monotonic - $0.deadline).milliseconds > 5_000 }
    for lease in late { world.violate("G5: the lease of \(lease.job) has been over for more than 5 s") }
    let classes = (try? store.look { try $0.pendingClasses() }) ?? []
    let available = dispatch.fleet.available
    // What was held back may go as soon as its account has room.
    let release = HeldBackRelease(runningLimit: faults.runningLimit)
    let isForgotten = !available.isEmpty && (try? store.look { try release.look(in: $0).isDue }) == true
    let isIdle = !isClaiming && (isForgotten || !DispatchState.openings(for: available, classes: classes).isEmpty)
    idleLooks = isIdle ? idleLooks + 1 : 0
    if idleLooks > 1 { world.violate("G15: a miner idles while a job that fits it waits") }
  }

  func die() {
    host.die()
    // Sometimes the group that was being made durable is, though nobody was told.
    if isCommitting, world.chance(30) {
      checks.committed(store.sync())
    } else {
      store.crash()
    }
    waiting = []
    isCommitting = false
    for session in sessions { session.link.closeAbove() }
    for feed in feeds { feed.link.closeAbove() }
    (sessions, feeds, links, topics) = ([], [], [:], [:])
  }

  func boot() {
    host.boot()
    isClaiming = false
    mustClaim = false
    dispatch = DispatchState(leaseTerm: faults.leaseTerm)
    published = (try? store.look { try $0.lastSequence() }) ?? 0
    checks.restarted()
    if let found = try? store.look({ try DispatchState.Found(in: $0) }) {
      dispatch.restore(found, at: monotonic, wall: host.clock.now)
    }
    begin()
  }

  // MARK: Group commit

  /// Runs `body` in a group; `then` gets what it gave, or what it threw, once the group is durable.
  func write<Value>(
    _ name: String, _ body: @escaping (any MarketTransaction) throws -> Value,
    then: @escaping (Result<Value, any Error>) -> Void
  ) {
    waiting.append(
      Operation(name: name) { store in
        let result = Result { try store.perform(body) }
        return { then(result) }
      })
    if !isCommitting { commit() }
  }

  private func commit() {
    guard !waiting.isEmpty else { return }
    isCommitting = true
    let group = waiting
    waiting = []
    let answers = group.map { $0.run(store) }
    if sabotage == .answersBeforeTheCommit { answer(answers) }
    if sabotage == .eventsBeforeTheCommit { publish(store.openEvents) }
    host.after(world.wait(mean: faults.sync) + (world.chance(1) ? world.number(100...2_000) : 0)) { [self] in
      let events = store.sync()
      checks.committed(events)
      publish(events)
      isCommitting = false
      if sabotage != .answersBeforeTheCommit { answer(answers) }
      commit()
    }
  }

  /// Tasks go on in their order, but not always at once.
  private func answer(_ answers: [() -> Void]) {
    for answer in answers { host.after(world.chance(5) ? world.wait(mean: 20) : 0, answer) }
  }
}

/// What may be broken on purpose. Each must be found.
enum Breakage: String, CaseIterable {
  /// Messages with tokens that are over are obeyed.
  case staleTokensAreObeyed
  /// Writers are answered when their operation has run, before it is durable.
  case answersBeforeTheCommit
  /// Events are published before they are durable.
  case eventsBeforeTheCommit
  /// Answers of idempotent requests are not kept.
  case answersAreForgotten
  /// Miners do not stop what they can't renew.
  case noSelfFence
  case postingsAreHalved
  case triesAreNotCounted

  var store: Set<Sabotage> {
    switch self {
    case .staleTokensAreObeyed: [.staleTokensAreLive]
    case .answersAreForgotten: [.answersAreForgotten]
    case .postingsAreHalved: [.postingsAreHalved]
    case .triesAreNotCounted: [.triesAreNotCounted]
    case .answersBeforeTheCommit, .eventsBeforeTheCommit, .noSelfFence: []
    }
  }
}
