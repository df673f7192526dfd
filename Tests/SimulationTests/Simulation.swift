import Marketplace
import Store
import StoreInMemory

@testable import Coordinator

/// A whole market in one seeded run: ten minutes of faults, then all is mended and everything must come to its end.
struct Simulation {
  /// Milliseconds of faults.
  static let span: Int64 = 600_000
  /// How long everything may take to end afterwards.
  static let patience: Int64 = 1_800_000

  let world: World
  private let faults: Faults
  private let coordinator: SimCoordinator
  private let checks: Checks
  private let miners: [SimMiner]
  private let clients: [SimClient]
  private var watchers: Watchers

  /// Subscribers come while it runs.
  private final class Watchers {
    var all: [SimSubscriber] = []
  }

  init(seed: UInt64, sabotage: Breakage? = nil, isTracing: Bool = false) {
    let world = World(seed: seed, isTracing: isTracing)
    self.world = world
    faults = Faults(world)
    checks = Checks(world)
    let coordinator = SimCoordinator(world, faults, checks, sabotage: sabotage)
    self.coordinator = coordinator
    miners = (1...faults.miners).compactMap { SimMiner($0, coordinator, sabotage: sabotage) }
    clients = (1...faults.clients).map { SimClient($0, coordinator) }
    let watchers = Watchers()
    self.watchers = watchers
    for number in 1...2 {
      watchers.all.append(SimSubscriber(coordinator, scope: .account, name: "subscriber \(number)"))
    }
    for client in clients {
      client.begin(until: Self.span)
      client.watch = { job in
        guard world.chance(25) else { return }
        watchers.all.append(SimSubscriber(coordinator, scope: .job(job), name: "watcher of \(job)"))
      }
    }
    planFaults()
  }

  /// Runs it to its end. What broke, or nil.
  func run() -> String? {
    defer { world.end() }
    while world.step(until: Self.span) {}
    guard world.violation == nil else { return world.violation }
    heal()
    let end = Self.span + Self.patience
    var nextLook = world.now
    while world.step(until: end) {
      guard world.now >= nextLook else { continue }
      nextLook = world.now + 1_000
      if checks.isQuiet, watchers.all.allSatisfy(\.isComplete) { break }
    }
    guard world.violation == nil else { return world.violation }
    checks.finish()
    for watcher in watchers.all where !watcher.isComplete {
      world.violate("liveness: a subscriber lacks events after \(watcher.sequence ?? -1)")
    }
    return world.violation
  }

  /// What a run saw, to tell whether it saw anything.
  var summary: Summary {
    Summary(
      steps: world.steps, jobs: checks.states.count, events: checks.lastSequence,
      completed: checks.states.values.count { $0 == .completed }, refusedTokens: checks.refusedTokens,
      acknowledged: checks.acknowledged.count, states: Set(checks.states.values))
  }

  struct Summary {
    var steps = 0
    var jobs = 0
    var events: Int64 = 0
    var completed = 0
    var refusedTokens = 0
    var acknowledged = 0
    var states: Set<JobState> = []
  }
}

// MARK: - Faults

extension Simulation {
  private func planFaults() {
    let lease = faults.leaseTerm.milliseconds
    often(faults.partition) { [self] in
      let span = world.wait(mean: 10_000)
      switch world.number(0...5) {
      case 0: clients.randomElement(using: &world.random)?.cut(span)
      case 1: watchers.all.randomElement(using: &world.random)?.cut(span)
      case 2: watchers.all.randomElement(using: &world.random)?.breakOff()
      default: miners.randomElement(using: &world.random)?.path.cut(span)
      }
    }
    often(faults.minerDeath) { [self] in
      guard let miner = miners.randomElement(using: &world.random), miner.host.isUp else { return }
      miner.die()
      world.after(world.number(100...30_000)) { if !miner.host.isUp { miner.boot() } }
    }
    often(faults.coordinatorDeath) { [self] in
      guard coordinator.host.isUp else { return }
      coordinator.die()
      world.after(world.number(100...20_000)) { if !coordinator.host.isUp { coordinator.boot() } }
    }
    often(faults.minerStall) { [self] in
      let span = [lease, lease * 2, lease * 10, 700][Int(world.number(0...3))]
      miners.randomElement(using: &world.random)?.host.stall(span, wholly: world.chance(50))
    }
    often(faults.coordinatorStall) { [self] in stallCoordinator() }
    often(faults.clockJump) { [self] in
      let hosts = [coordinator.host] + miners.map(\.host)
      let day: Int64 = 86_400_000
      let host = hosts.randomElement(using: &world.random)
      host?.clock.wallError = [day, -day, 3_600_000, -60_000, 0][Int(world.number(0...4))]
      world.note("\(host?.name ?? "") has its wall clock set wrong by \(host?.clock.wallError ?? 0) ms")
    }
    often(faults.fullDisk) { [self] in
      world.note("the disk is full")
      coordinator.store.fail(with: .diskFull)
      coordinator.troubledUntil = .max / 2
      world.after(world.wait(mean: 8_000)) {
        coordinator.store.fail(with: nil)
        coordinator.troubledUntil = max(world.now, coordinator.host.stalledUntil)
      }
    }
    often(faults.drain) { [self] in miners.randomElement(using: &world.random)?.drain() }
  }

  private func stallCoordinator() {
    let span = world.number(500...25_000)
    coordinator.troubledUntil = max(coordinator.troubledUntil, world.now + span)
    coordinator.host.stall(span, wholly: true)
  }

  private func often(_ mean: Int64, _ body: @escaping () -> Void) {
    guard mean > 0 else { return }
    world.after(world.wait(mean: mean)) {
      guard world.now < Self.span else { return }
      body()
      often(mean, body)
    }
  }

  private func heal() {
    world.note("all is mended")
    coordinator.store.fail(with: nil)
    coordinator.troubledUntil = max(world.now, coordinator.host.stalledUntil)
    coordinator.host.heal()
    if !coordinator.host.isUp { coordinator.boot() }
    for miner in miners { miner.heal() }
    for client in clients { client.heal() }
    for watcher in watchers.all { watcher.heal() }
    // What was put off by a clock that ran a day ahead has its day passed.
    if faults.clockJump > 0 { world.after(300_000) { coordinator.host.clock.wallError = 2 * 86_400_000 } }
  }
}
