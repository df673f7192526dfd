import Clocks
import JSON
import Logging
import Marketplace
import Wire

@testable import Miner

/// A try without processes: ``TryMachine`` decides as in the product, and what it asks for takes virtual time.
final class SimTry: MinerTry, @unchecked Sendable {
  let assignment: Assignment
  let logger = Logger(label: "simulation") { _ in SwiftLogNoOpLogHandler() }
  private unowned let miner: SimMiner
  private var machine = TryMachine()
  private var connection: (any MinerConnection)?
  private var failure: JobError?
  private var result: RunResult?
  private var hasStarted = false
  private var isRunning = false
  /// It was told to go; what runs ends as stopped.
  private var isStopping = false
  private var isOver = false
  private let plan: PayloadPlan
  /// The supervisor's own deadline.
  private var backstop: MonotonicTime?
  private var isWatched = false

  init(_ assignment: Assignment, connection: (any MinerConnection)?, miner: SimMiner) {
    self.assignment = assignment
    self.connection = connection
    self.miner = miner
    plan = PayloadPlan(assignment.specification)
    miner.host.after(miner.world.wait(mean: 100)) { [self] in
      handle(failure == nil ? .prepared : .prepareFailed)
    }
  }

  private var world: World { miner.world }
  var held: HeldLease { HeldLease(lease: assignment.lease, isStarted: hasStarted) }

  var takesSlot: Bool {
    switch machine.state {
    case .preparing, .running, .collecting: true
    case .reporting, .finished: false
    }
  }

  var stage: TryStage {
    switch machine.state {
    case .preparing, .running: .payload
    case .collecting, .reporting, .finished: result == nil ? .refusal : .result
    }
  }

  func handle(_ event: TryMachine.Event) { perform(machine.handle(event)) }

  func hold(until moment: MonotonicTime) {
    guard miner.hasFence else { return }
    backstop = max(moment, backstop ?? moment)
    watch()
  }

  /// What the supervisor does, which runs on when the miner is stopped.
  private func watch() {
    guard let backstop, isRunning, !isWatched else { return }
    isWatched = true
    let rest = (backstop - miner.host.clock.monotonic).milliseconds
    miner.host.besides(max(1, rest)) { [self] in
      isWatched = false
      guard isRunning, let backstop = self.backstop else { return }
      // It was told a later moment since, or its clock runs slowly.
      guard backstop <= miner.host.clock.monotonic else { return watch() }
      world.note("\(miner.host.name): a supervisor ends \(assignment.job) try \(assignment.tryNumber)")
      exited(RunResult(.failed(JobError(.minerError, "the miner stood still")), wasStopped: true))
    }
  }

  func resumed(_ connection: any MinerConnection, stdout: Int64, stderr: Int64) {
    self.connection = connection
    handle(.resumed)
  }

  func disconnected() { connection = nil }
  func acknowledged(_ stream: LogStream, _ offset: Int64) {}
  func logRejected() {}
  func abandon() -> String? { nil }
  func run() async {}

  private func perform(_ action: TryMachine.Action) {
    switch action {
    case .none: break
    case .launch: launch()
    case .abort: failure = failure ?? JobError(.canceled, "stopped")
    case .terminate(let grace): terminate(grace)
    case .kill: kill()
    case .announce: if hasStarted { connection?.send(.started(lease: assignment.lease)) }
    case .collect: miner.host.after(world.wait(mean: 60)) { self.handle(.collected) }
    case .report:
      connection?.send(
        TryOutcome(stop: machine.stop, result: result, failure: failure).report(lease: assignment.lease))
    case .refuse: connection?.send(.refuse(lease: assignment.lease, reason: "the miner is leaving"))
    case .discard: finish()
    }
  }

  private func finish() {
    guard !isOver else { return }
    isOver = true
    if isRunning { world.violate("a try was discarded while its payload ran") }
    miner.finished(self)
  }

  // MARK: The payload

  private func launch() {
    miner.host.after(world.wait(mean: 10)) { [self] in
      // The supervisor starts nothing after the fence.
      if let backstop, backstop <= miner.host.clock.monotonic {
        return ended(RunResult(.failed(JobError(.minerError, "the miner stood still")), wasStopped: true))
      }
      guard !isStopping else { return ended(RunResult(.failed(JobError(.canceled, "stopped")), wasStopped: true)) }
      hasStarted = true
      isRunning = true
      miner.checks.payloadStarted(assignment, on: miner.host)
      connection?.send(.started(lease: assignment.lease))
      watch()
      miner.host.besides(plan.duration) { self.exited(self.plan.result) }
    }
  }

  private func terminate(_ grace: Seconds) {
    isStopping = true
    miner.host.besides(plan.isStubborn ? grace.milliseconds : world.wait(mean: 100)) { self.exited(Self.killed) }
  }

  private func kill() {
    isStopping = true
    miner.host.besides(world.number(1...20)) { self.exited(Self.killed) }
  }

  private static let killed = RunResult(.failed(JobError(.signaled, "ended by signal 9")), wasStopped: true)

  /// The program is gone; the miner hears of it when it runs.
  private func exited(_ result: RunResult) {
    guard isRunning else { return }
    isRunning = false
    miner.checks.payloadEnded(assignment, on: miner.host)
    miner.host.after(0) { self.ended(result) }
  }

  private func ended(_ result: RunResult) {
    guard self.result == nil else { return }
    self.result = result
    handle(.ended(wasStopped: result.wasStopped))
  }
}

/// What a job's program does; it stands in the job's payload.
struct PayloadPlan {
  enum End: String, CaseIterable { case ok, fails, minerFails }

  var duration: Int64
  var end: End
  var isStubborn: Bool

  init(duration: Int64, end: End, isStubborn: Bool) {
    self.duration = duration
    self.end = end
    self.isStubborn = isStubborn
  }

  init(_ specification: JobSpecification) {
    let payload = JSONValue.object(specification.payload)
    duration = payload["ms"]?.integer ?? 0
    end = payload["end"]?.string.flatMap(End.init(rawValue:)) ?? .ok
    isStubborn = payload["stubborn"]?.bool ?? false
  }

  var payload: JSONObject {
    JSONObject([
      ("ms", .integer(duration)), ("end", .string(end.rawValue)), ("stubborn", .bool(isStubborn)),
    ])
  }

  var result: RunResult {
    switch end {
    case .ok: RunResult(.completed, exitCode: 0)
    case .fails: RunResult(.failed(JobError(.exitNonzero, "exit code 1")), exitCode: 1)
    case .minerFails: RunResult(.failed(JobError(.minerError, "no process could be started")))
    }
  }
}
