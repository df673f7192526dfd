import Clocks
import Cryptography
import JSON
import Logging
import Marketplace
import Synchronization
import Wire

/// What the miner holds, and who is told what: the place where commands of the coordinator meet the tries.
///
/// All of it stands under one lock that is never held across a wait or a call to a try. Nothing here blocks.
final class MinerCore: Sendable {
  private struct Hold {
    let execution: any MinerTry
    let moment: MonotonicTime
  }

  private struct State {
    var ledger: LeaseLedger
    var tries: [String: any MinerTry] = [:]
    /// Reports of jobs that end at once (`noop`), until they are settled.
    var quick: [String: TryReport] = [:]
    /// To be said again at the next heartbeat.
    var again: Set<String> = []
    var rejectedLogs: Set<String> = []
    /// Reports that lacked something; repeated at the next heartbeat, when logs that were not kept go out again too.
    /// At once would use up the repeats while the coordinator is in trouble.
    var incomplete: Set<String> = []
    var devices: DeviceAllocation
    var connection: (any MinerConnection)?
    var isFresh = true
    var departure: Departure

    var isDraining: Bool { departure.order != .stay }
    var held: Int { tries.values.count(where: \.takesSlot) }

    /// Until when the tries of these leases may run if nobody here can stop them.
    func holds(_ leases: some Sequence<String>) -> [Hold] {
      leases.sorted().compactMap { lease in
        guard let execution = tries[lease], let moment = ledger.backstop(of: lease) else { return nil }
        return Hold(execution: execution, moment: moment)
      }
    }
  }

  /// Makes the try of an assignment with these GPUs, which speaks over this connection.
  typealias TryMaker = @Sendable (Assignment, [Int], (any MinerConnection)?) -> any MinerTry

  private let configuration: MinerConfiguration
  private let instance: String
  private let publicKey: String?
  private let offer: MinerOffer
  private let makeTry: TryMaker
  private let state: Mutex<State>
  private let clock: any MarketClock
  private let logger: Logger

  /// Tries that are to be run.
  let starts: AsyncStream<any MinerTry>
  private let start: AsyncStream<any MinerTry>.Continuation
  /// Told after each change that may mean that all is done.
  let changes: AsyncStream<Void>
  private let change: AsyncStream<Void>.Continuation

  convenience init(_ services: TryServices, offer: MinerOffer) {
    self.init(
      services.configuration, instance: services.work.instance, publicKey: services.work.signingKey.publicKey.id,
      offer: offer, clock: services.clock, logger: services.logger
    ) { assignment, gpus, connection in
      TryExecution(assignment, gpus: gpus, connection: connection, services: services)
    }
  }

  /// - instance: the secret by which the coordinator knows this miner again.
  /// - publicKey: what its results are signed with; nil when they are not.
  init(
    _ configuration: MinerConfiguration, instance: String, publicKey: String?, offer: MinerOffer,
    clock: any MarketClock, logger: Logger, makeTry: @escaping TryMaker
  ) {
    self.configuration = configuration
    self.instance = instance
    self.offer = offer
    self.clock = clock
    self.logger = logger
    self.publicKey = publicKey
    self.makeTry = makeTry
    state = Mutex(
      State(
        ledger: LeaseLedger(margin: configuration.fenceMargin), devices: DeviceAllocation(offer.gpus),
        departure: Departure(
          patience: configuration.drainTimeout, grace: configuration.stopGrace,
          reportPatience: configuration.leavePatience)))
    (starts, start) = AsyncStream.makeStream()
    (changes, change) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  // MARK: The operator

  /// The operator wants the miner to go: the first time it drains, the second time it ends what runs, the third time
  /// it goes at once.
  func ask() {
    let now = clock.monotonic
    let (order, connection, tries) = state.withLock { state in
      state.departure.ask(at: now)
      return (state.departure.order, state.connection, state.tries.inOrder)
    }
    switch order {
    case .stay, .atOnce: break
    case .drain:
      connection?.send(.drain)
      for execution in tries { execution.handle(.drain) }
    case .leave:
      for execution in tries { execution.handle(.leave(grace: configuration.stopGrace)) }
    }
    change.yield()
  }

  /// Whether it is time to go, and nothing more is waited for.
  func mayGo() -> Bool {
    let now = clock.monotonic
    return state.withLock { state in
      guard state.isDraining else { return false }
      var holdings = Departure.Holdings()
      for execution in state.tries.values {
        switch execution.stage {
        case .payload: holdings.payloads += 1
        case .result: holdings.results += 1
        case .refusal: holdings.refusals += 1
        }
      }
      holdings.results += state.quick.count
      holdings.isConnected = state.connection != nil
      holdings.leasedUntil = state.ledger.latestDeadline
      return state.departure.isDue(holdings, at: now)
    }
  }

  /// The miner goes without waiting for what it still holds. Returns the folders of results that are only here, which
  /// stay.
  func abandon() -> [String] {
    state.withLock { Array($0.tries.values) }.compactMap { $0.abandon() }.sorted()
  }

  // MARK: Connections

  /// The first message of a connection.
  func hello() -> MinerHello {
    let (isFresh, tries, quick) = state.withLock { ($0.isFresh, Array($0.tries.values), Array($0.quick.keys)) }
    let held = tries.map(\.held) + quick.map { HeldLease(lease: $0, isStarted: true) }
    return MinerHello(
      instance: instance, name: configuration.name, version: configuration.version, offer: offer,
      isFresh: isFresh, held: held.sorted { $0.lease < $1.lease }, publicKey: publicKey)
  }

  /// The coordinator's answer; `asked` is when the hello went out.
  func welcomed(_ welcome: MinerWelcome, over connection: any MinerConnection, asked: MonotonicTime) {
    let kept = Dictionary(welcome.resumed.map { ($0.lease, $0) }, uniquingKeysWith: { first, _ in first })
    let (resumed, lost, reports, isDraining, holds) = state.withLock { state in
      state.isFresh = false
      state.connection = connection
      state.ledger.disconnected()
      state.ledger.connected(asked: asked)
      for lease in kept.values { state.ledger.grant(lease.lease, milliseconds: lease.leaseMilliseconds, from: asked) }
      let lost = state.tries.filter { kept[$0.key] == nil }
      for lease in lost.keys { state.ledger.forget(lease) }
      state.quick = state.quick.filter { kept[$0.key] != nil }
      let resumed = state.tries.compactMap { lease, execution in kept[lease].map { (execution, $0) } }
      return (
        resumed.sorted { $0.1.lease < $1.1.lease }, lost.inOrder, state.quick.inOrder, state.isDraining,
        state.holds(kept.keys)
      )
    }
    tell(holds)
    for (execution, lease) in resumed {
      execution.resumed(connection, stdout: lease.stdoutOffset, stderr: lease.stderrOffset)
    }
    for execution in lost { execution.handle(.leaseLost) }
    for report in reports { connection.send(report.message) }
    if isDraining { connection.send(.drain) }
    change.yield()
  }

  func disconnected() {
    let tries = state.withLock { state in
      state.connection = nil
      state.ledger.disconnected()
      return state.tries.inOrder
    }
    for execution in tries { execution.disconnected() }
  }

  // MARK: Time

  /// Renews all leases, and says again what was not taken the first time.
  func heartbeat() {
    let now = clock.monotonic
    let (connection, batches, tries, reports, logs, incomplete) = state.withLock { state in
      let tries = state.again.sorted().compactMap { state.tries[$0] }
      let reports = state.again.union(state.incomplete).sorted().compactMap { state.quick[$0] }
      let incomplete = state.incomplete.sorted().compactMap { state.tries[$0] }
      state.incomplete = []
      let logs = state.rejectedLogs.sorted().compactMap { state.tries[$0] }
      state.again = []
      state.rejectedLogs = []
      let batches = state.connection == nil ? [] : state.ledger.renewal(at: now)
      return (state.connection, batches, tries, reports, logs, incomplete)
    }
    for batch in batches { connection?.send(.renew(leases: batch)) }
    for execution in logs { execution.logRejected() }
    for execution in incomplete { execution.handle(.incomplete) }
    for execution in tries { execution.handle(.notSettled) }
    for report in reports { connection?.send(report.message) }
  }

  /// Stops what could soon be given to somebody else. Returns when to look again.
  @discardableResult func fence() -> MonotonicTime {
    let now = clock.monotonic
    let (due, next) = state.withLock { state in
      let due = state.ledger.fenced(at: now).compactMap { state.tries[$0] }
      return (due, state.ledger.nextFence)
    }
    for execution in due {
      execution.logger.warning("the lease could not be renewed in time")
      execution.handle(.fence)
    }
    // A lease granted meanwhile may end sooner: never longer than a quarter second.
    let soon = now + Seconds(milliseconds: 250)
    return min(soon, max(next ?? soon, now + Seconds(milliseconds: 1)))
  }

  // MARK: Commands

  func handle(_ command: MinerCommand) {
    switch command {
    case .welcome: logger.warning("a second welcome was ignored")
    case .assign(let assignment): assign(assignment)
    case .cancel(let lease, let grace): execution(lease)?.handle(.cancel(grace: grace))
    case .logAck(let lease, let stream, let offset): execution(lease)?.acknowledged(stream, offset)
    case .leases(let renewed, let lost): leases(renewed, lost)
    case .settled(let lease, _): settled(lease)
    case .drain:
      logger.notice("the coordinator drains this miner: it gets nothing new")
    case .error(let code, let message, let lease): failed(code, message, lease)
    }
  }

  private func execution(_ lease: String) -> (any MinerTry)? { state.withLock { $0.tries[lease] } }

  private func leases(_ renewed: [String: Int64], _ lost: [String]) {
    let (executions, holds) = state.withLock { state in
      let ours = state.ledger.answered(renewed: renewed, lost: lost)
      for lease in ours { state.quick[lease] = nil }
      return (ours.compactMap { state.tries[$0] }, state.holds(renewed.keys))
    }
    tell(holds)
    for execution in executions {
      execution.logger.warning("the lease is lost")
      execution.handle(.leaseLost)
    }
    if !lost.isEmpty { change.yield() }
  }

  private func tell(_ holds: [Hold]) { for hold in holds { hold.execution.hold(until: hold.moment) } }

  private func settled(_ lease: String) {
    let execution = state.withLock { state in
      state.ledger.forget(lease)
      state.quick[lease] = nil
      return state.tries[lease]
    }
    execution?.handle(.settled)
    change.yield()
  }

  private func failed(_ code: String, _ message: String, _ lease: String?) {
    guard let lease else {
      logger.warning("the coordinator says: \(message)", metadata: ["code": "\(code)"])
      return
    }
    switch code {
    case "incomplete": state.withLock { _ = $0.incomplete.insert(lease) }
    case "log_not_kept": state.withLock { _ = $0.rejectedLogs.insert(lease) }
    // Whatever went wrong over there, the next heartbeat says it again.
    default: state.withLock { _ = $0.again.insert(lease) }
    }
    logger.notice("the coordinator says: \(message)", metadata: ["code": "\(code)"])
  }

  // MARK: Assignments

  private enum Admission {
    case quick(TryReport)
    case run(any MinerTry)
    case refuse(String)
    case ignore
  }

  private func assign(_ assignment: Assignment) {
    let received = clock.monotonic
    let lease = assignment.lease
    let (admission, connection, holds) = state.withLock { state in
      let admission = admit(assignment, at: received, &state)
      if case .refuse = admission {
      } else {
        state.ledger.assigned(lease, milliseconds: assignment.leaseMilliseconds, at: received)
      }
      return (admission, state.connection, state.holds([lease]))
    }
    tell(holds)
    switch admission {
    case .quick(let report): connection?.send(report.message)
    case .run(let execution):
      connection?.send(.accept(lease: lease))
      execution.logger.info("accepted", metadata: ["runner": "\(assignment.specification.runner)"])
      start.yield(execution)
      // It may have come so late that its lease is nearly over.
      fence()
    case .refuse(let reason):
      logger.notice("refused: \(reason)", metadata: ["job": "\(assignment.job)"])
      if reason == Self.tooOld {
        // Answered before the job comes again: then it is known how old that is.
        heartbeat()
      }
      connection?.send(.refuse(lease: lease, reason: reason))
    case .ignore: break
    }
  }

  /// A try that would be stopped by its own fence before it began is no try: refusing burns none.
  private static let tooOld = "nothing was heard of the coordinator for half a lease: this may be as old"

  private func admit(_ assignment: Assignment, at now: MonotonicTime, _ state: inout State) -> Admission {
    let specification = assignment.specification
    let lease = assignment.lease
    guard state.tries[lease] == nil, state.quick[lease] == nil else { return .ignore }
    guard !state.isDraining else { return .refuse("the miner is draining") }
    // A miner runs only what it offers, whatever it is sent.
    guard offer.runners.contains(specification.runner) else {
      return .refuse("the miner has no runner \(specification.runner)")
    }
    if specification.runner == "noop" {
      let report = TryReport(
        lease: lease, result: RunResult(.completed, result: .object(specification.payload)), error: nil, artifacts: [],
        stdout: .empty, stderr: .empty)
      state.quick[lease] = report
      return .quick(report)
    }
    guard !state.ledger.doubts(milliseconds: assignment.leaseMilliseconds, at: now) else { return .refuse(Self.tooOld) }
    guard state.held < offer.slots else { return .refuse("all slots are taken") }
    guard !specification.constraints.network || offer.allowsNetwork else {
      return .refuse("the miner gives jobs no network")
    }
    guard let gpus = state.devices.allocate(specification.constraints, to: lease) else {
      return .refuse("not enough GPUs are free")
    }
    let execution = makeTry(assignment, gpus, state.connection)
    state.tries[lease] = execution
    return .run(execution)
  }

  /// A try's task has returned: nothing of it is left.
  func finished(_ execution: any MinerTry) {
    let lease = execution.assignment.lease
    state.withLock { state in
      state.tries[lease] = nil
      state.devices.release(lease)
      state.ledger.forget(lease)
    }
    change.yield()
  }

  /// No try will be started any more.
  func close() {
    start.finish()
    change.finish()
  }
}

extension Dictionary where Key == String {
  /// The values in the order of their keys, so that what follows does not depend on chance.
  fileprivate var inOrder: [Value] { sorted { $0.key < $1.key }.map(\.value) }
}
