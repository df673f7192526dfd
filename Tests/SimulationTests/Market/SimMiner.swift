import Clocks
import Logging
import Marketplace
import MarketplaceClient
import Wire

@testable import Miner

/// A miner's machine: the product's ``MinerCore`` with its ledger and fence, connected over a link that may break.
final class SimMiner: @unchecked Sendable {
  let world: World
  let faults: Faults
  let host: Host
  let path: Path
  let checks: Checks
  private let coordinator: SimCoordinator
  private let sabotage: Breakage?
  private let configuration: MinerConfiguration
  private let offer: MinerOffer
  private let instance: String
  private var core: MinerCore?
  private var link: MinerLine?
  private var isWelcome = false
  private var attempt = 0

  /// Nil when a miner can't be configured so.
  init?(_ number: Int, _ coordinator: SimCoordinator, sabotage: Breakage?) {
    let world = coordinator.world
    self.world = world
    self.coordinator = coordinator
    self.sabotage = sabotage
    faults = coordinator.faults
    checks = coordinator.checks
    let clock = HostClock(world, boot: world.number(0...1_000_000_000), drift: world.number(-5...5))
    host = Host(world, name: "miner \(number)", clock: clock)
    path = Path(world, coordinator.faults, name: "miner \(number)'s network", between: [host, coordinator.host])
    instance = "secret of \(number)"
    guard let url = try? CoordinatorURL("http://127.0.0.1:1") else { return nil }
    var configuration = MinerConfiguration(
      url: url, apiKey: "k", name: "m\(number)", version: "1", workDirectory: "/nowhere")
    configuration.slots = Int(world.number(1...3))
    self.configuration = configuration
    offer = MinerOffer(runners: ["process", "noop"], slots: configuration.slots)
    boot()
  }

  // MARK: Life

  func boot() {
    host.boot()
    attempt = 0
    let clock = host.clock
    core = MinerCore(
      configuration, instance: instance, publicKey: nil, offer: offer, clock: clock,
      logger: Logger(label: "simulation") { _ in SwiftLogNoOpLogHandler() }
    ) { [unowned self] assignment, _, connection in
      SimTry(assignment, connection: connection, miner: self)
    }
    fence()
    connect()
  }

  /// All payloads go with it: their supervisors see it go.
  func die() {
    host.die()
    checks.payloadsEnded(on: host)
    core = nil
    isWelcome = false
    link?.closeBelow()
    link = nil
  }

  func drain() {
    world.note("\(host.name) drains")
    core?.ask()
    leaveIfDone()
  }

  func finished(_ execution: SimTry) {
    core?.finished(execution)
    host.after(0) { self.leaveIfDone() }
  }

  /// A drained miner ends, and its operator starts it again.
  private func leaveIfDone() {
    guard core?.mayGo() == true else { return }
    die()
    world.after(world.number(100...5_000)) { if !self.host.isUp { self.boot() } }
  }

  var hasFence: Bool { sabotage != .noSelfFence }

  private func fence() {
    leaveIfDone()
    guard let core else { return }
    guard hasFence else { return host.after(250) { self.fence() } }
    let next = core.fence()
    host.after(max(1, (next - host.clock.monotonic).milliseconds)) { self.fence() }
  }

  // MARK: The channel

  private func connect() {
    guard core != nil else { return }
    // SYN, the upgrade, and their answers.
    guard let there = path.flight(.up), let back = path.flight(.down), coordinator.host.isUp else {
      return host.after(coordinator.host.isUp ? 5_000 : 10) { self.connectAgain() }
    }
    host.after(there + back) { [self] in
      guard coordinator.host.isUp else { return connectAgain() }
      let link = MinerLine(path)
      self.link = link
      link.onReceiveBelow { command in self.host.after(0) { self.take(command, link) } }
      link.closedBelow = { self.host.after(0) { self.lost(link) } }
      coordinator.accept(link)
      guard let core else { return }
      let asked = host.clock.monotonic
      self.asked = asked
      SimConnection(link, self).send(.hello(core.hello()))
      let greeting = ChannelClient.greetingTimeout.milliseconds
      host.after(greeting) { if self.link === link, !self.isWelcome { link.closeBelow() } }
    }
  }

  private var asked = MonotonicTime(milliseconds: 0)

  private func connectAgain() {
    let wait = configuration.reconnect.delay(attempt: attempt, using: &world.random)
    attempt += 1
    host.after(wait.milliseconds) { self.connect() }
  }

  private func take(_ command: MinerCommand, _ link: MinerLine) {
    guard self.link === link, link.isOpenBelow, let core else { return }
    if isWelcome {
      core.handle(command)
      return leaveIfDone()
    }
    guard case .welcome(let welcome) = command else { return link.closeBelow() }
    isWelcome = true
    attempt = 0
    core.welcomed(welcome, over: SimConnection(link, self), asked: asked)
    beat(welcome.heartbeat, link)
    leaveIfDone()
  }

  private func beat(_ interval: Seconds, _ link: MinerLine) {
    host.after(interval.milliseconds) { [self] in
      guard self.link === link, isWelcome else { return }
      core?.heartbeat()
      beat(interval, link)
    }
  }

  private func lost(_ link: MinerLine) {
    guard self.link === link else { return }
    if isWelcome { core?.disconnected() }
    isWelcome = false
    self.link = nil
    connectAgain()
  }

  func heal() {
    host.heal()
    path.heal()
    if !host.isUp { boot() }
  }
}

/// The miner's end of its channel.
private final class SimConnection: MinerConnection, @unchecked Sendable {
  private let link: MinerLine
  private unowned let miner: SimMiner

  init(_ link: MinerLine, _ miner: SimMiner) {
    self.link = link
    self.miner = miner
  }

  func send(_ message: MinerMessage) {
    miner.world.note("\(miner.host.name) says \(message.word)")
    link.sendUp(message)
    guard message.mayRepeat, !miner.path.isHealed, miner.world.chance(miner.faults.duplication) else { return }
    miner.host.after(miner.world.wait(mean: 400)) { self.link.sendUp(message) }
  }

  func send(_ chunk: LogChunk) async throws {}
  func next() async -> MinerCommand? { nil }
  var end: ChannelEnd? { link.isOpenBelow ? nil : ChannelEnd(code: 1006) }
  func close() { link.closeBelow() }
}

extension MinerMessage {
  fileprivate var word: String {
    switch self {
    case .hello: "hello"
    case .accept: "accept"
    case .refuse: "refuse"
    case .started: "started"
    case .progress: "progress"
    case .renew(let leases): "renew \(leases.count)"
    case .done: "done"
    case .failed(let report): "failed \(report.error?.code.rawValue ?? "")"
    case .drain: "drain"
    }
  }

  /// Renewals and greetings are answered in order and once on one connection: that is what it is for. The rest may be
  /// said again by a miner that was not sure.
  fileprivate var mayRepeat: Bool {
    switch self {
    case .accept, .refuse, .started, .done, .failed: true
    case .hello, .progress, .renew, .drain: false
    }
  }
}
