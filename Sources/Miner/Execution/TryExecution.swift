import Clocks
import Logging
import Marketplace
import NIOPosix
import ResultPackage
import Synchronization
import Wire

/// One try at work: carries out what ``TryMachine`` decides.
///
/// Events come in from anywhere through ``handle(_:)``, which never waits. One task (``run()``) does what takes time,
/// a phase at a time; the folder and everything in it are gone when it returns.
final class TryExecution: MinerTry {
  /// What takes time.
  private enum Work: Sendable {
    case launch
    case collect(artifacts: Bool)
  }

  private struct State {
    var machine = TryMachine()
    /// The fetching or sending under way, which an abort cancels.
    var phase: Task<Void, Never>?
    var isAborted = false
    var workspace: TryWorkspace?
    var failure: JobError?
    var result: RunResult?
    var files: [ArtifactWalk.Found]?
    var artifacts: [ArtifactFact] = []
    var hasStarted = false
    /// When nothing of the payload was left.
    var endedAt: MonotonicTime?
    /// The miner went before the result could be delivered: its folder stays.
    var isAbandoned = false
    var progress: ProgressUpdate?
    /// What the coordinator was told last over this connection.
    var toldProgress: ProgressUpdate?
    var connection: (any MinerConnection)?
    /// What the coordinator said it has of the logs, until there is a shipper to tell.
    var offsets: (stdout: Int64, stderr: Int64) = (0, 0)
  }

  let assignment: Assignment
  let gpus: [Int]
  private let services: TryServices
  private let control = RunControl()
  private let state: Mutex<State>
  private let works: AsyncStream<Work>
  private let work: AsyncStream<Work>.Continuation
  private let updates: AsyncStream<ProgressUpdate>
  private let update: AsyncStream<ProgressUpdate>.Continuation
  let logger: Logger

  init(_ assignment: Assignment, gpus: [Int], connection: (any MinerConnection)?, services: TryServices) {
    self.assignment = assignment
    self.gpus = gpus
    self.services = services
    var initial = State()
    initial.connection = connection
    state = Mutex(initial)
    (works, work) = AsyncStream.makeStream()
    (updates, update) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    var logger = services.logger
    logger[metadataKey: "job"] = "\(assignment.job)"
    logger[metadataKey: "try"] = "\(assignment.tryNumber)"
    self.logger = logger
  }

  private var lease: String { assignment.lease }

  /// For `hello`.
  var held: HeldLease { HeldLease(lease: lease, isStarted: state.withLock { $0.hasStarted }) }

  /// Whether it takes a slot: not any more when only its report is under way.
  var takesSlot: Bool {
    state.withLock { state in
      switch state.machine.state {
      case .preparing, .running, .collecting: true
      case .reporting, .finished: false
      }
    }
  }

  var stage: TryStage {
    state.withLock { state in
      switch state.machine.state {
      case .preparing, .running: .payload
      case .collecting, .reporting, .finished: state.result == nil ? .refusal : .result
      }
    }
  }

  /// The miner goes and does not wait for it. Returns its folder when that holds the result of a program that ended by
  /// itself; the folder then stays.
  func abandon() -> String? {
    state.withLock { state in
      let isOver = state.machine.state == .finished || state.machine.stop == .lost
      guard let result = state.result, !result.wasStopped, !isOver else { return nil }
      state.isAbandoned = true
      return state.workspace?.directory.path
    }
  }

  // MARK: Events

  func handle(_ event: TryMachine.Event) { perform(state.withLock { $0.machine.handle(event) }) }

  func hold(until moment: MonotonicTime) { control.request(.fence(at: moment)) }

  /// A connection stands over which the lease goes on; the coordinator has this much of the logs.
  func resumed(_ connection: any MinerConnection, stdout: Int64, stderr: Int64) {
    let shipper = state.withLock { state in
      state.connection = connection
      state.toldProgress = nil
      state.offsets = (stdout, stderr)
      return state.workspace?.shipper
    }
    shipper?.connected(connection, stdout: stdout, stderr: stderr)
    handle(.resumed)
  }

  func disconnected() {
    let shipper = state.withLock { state in
      state.connection = nil
      return state.workspace?.shipper
    }
    shipper?.disconnected()
  }

  func acknowledged(_ stream: LogStream, _ offset: Int64) {
    state.withLock { $0.workspace?.shipper }?.acknowledged(stream, offset)
  }

  func logRejected() { state.withLock { $0.workspace?.shipper }?.rejected() }

  private func perform(_ action: TryMachine.Action) {
    switch action {
    case .none: break
    case .launch: work.yield(.launch)
    case .collect(let artifacts): work.yield(.collect(artifacts: artifacts))
    case .abort:
      state.withLock { state in
        state.isAborted = true
        return state.phase
      }?.cancel()
    case .terminate(let grace): control.request(.terminate(grace: grace))
    case .kill: control.request(.kill)
    case .announce: announce()
    case .report:
      // The end says no progress: the last word must come before it.
      tellProgress()
      send(report())
    case .refuse: send(.refuse(lease: lease, reason: "the miner is leaving"))
    case .discard: work.finish()
    }
  }

  private func send(_ message: MinerMessage) { state.withLock { $0.connection }?.send(message) }

  private func announce() {
    let (hasStarted, progress) = state.withLock { ($0.hasStarted, $0.progress) }
    if hasStarted { send(.started(lease: lease)) }
    if let progress { update.yield(progress) }
  }

  // MARK: The task

  /// Runs the try to its end. When the task is canceled, the payload is killed and nothing more is said.
  func run() async {
    await withTaskCancellationHandler {
      await phase { await self.prepare() }
      handle(state.withLock { $0.failure } == nil ? .prepared : .prepareFailed)
      await withTaskGroup(of: Void.self) { group in
        let shipper = state.withLock { $0.workspace?.shipper }
        if let shipper { group.addTask { await shipper.run() } }
        group.addTask { await self.sendProgress() }
        for await item in works { await carryOut(item) }
        group.cancelAll()
      }
    } onCancel: {
      control.request(.kill)
      perform(.abort)
    }
    await clear()
  }

  private func carryOut(_ item: Work) async {
    switch item {
    case .launch:
      let result = await launch()
      let now = services.clock.monotonic
      state.withLock { state in
        state.result = result
        state.endedAt = now
      }
      handle(.ended(wasStopped: result.wasStopped))
    case .collect(let artifacts):
      await phase { await self.collect(artifacts: artifacts) }
      handle(.collected)
    }
  }

  /// Runs what an abort may cut short.
  private func phase(_ body: @escaping @Sendable () async -> Void) async {
    let task = Task { await body() }
    let isAborted = state.withLock { state in
      state.phase = task
      return state.isAborted
    }
    if isAborted { task.cancel() }
    await task.value
    state.withLock { state in
      state.phase = nil
      state.isAborted = false
    }
  }

  private func prepare() async {
    do {
      let workspace = try await TryWorkspace.make(assignment, services)
      let (connection, offsets) = state.withLock { state in
        state.workspace = workspace
        return (state.connection, state.offsets)
      }
      if let connection { workspace.shipper.connected(connection, stdout: offsets.stdout, stderr: offsets.stderr) }
      try await services.inputs.fetch(assignment.specification.inputs, into: workspace.directory.work)
    } catch {
      let failure = TryWorkspace.failure(error)
      state.withLock { $0.failure = failure }
    }
  }

  private func launch() async -> RunResult {
    let runner = services.runners[assignment.specification.runner]
    guard let runner, let workspace = state.withLock({ $0.workspace }) else {
      return RunResult(.failed(JobError(.minerError, "the miner has no runner \(assignment.specification.runner)")))
    }
    let context = RunContext(
      assignment: assignment, directory: workspace.directory, stdout: workspace.stdout, stderr: workspace.stderr,
      control: control, gpus: gpus,
      started: { [self] in
        state.withLock { $0.hasStarted = true }
        logger.info("started")
        send(.started(lease: lease))
      },
      progress: { [self] latest in
        state.withLock { $0.progress = latest }
        update.yield(latest)
      })
    return await runner.run(context)
  }

  /// At most ten a second; between two only the latest counts.
  private func sendProgress() async {
    for await _ in updates {
      tellProgress()
      guard (try? await services.clock.sleep(for: Seconds(milliseconds: 100))) != nil else { return }
    }
  }

  private func tellProgress() {
    // Sent under the lock, so that no older word follows a newer one.
    state.withLock { state in
      guard let latest = state.progress, latest != state.toldProgress else { return }
      state.toldProgress = latest
      state.connection?.send(.progress(lease: lease, percent: latest.percent, message: latest.message))
    }
  }

  private func collect(artifacts: Bool) async {
    guard let workspace = state.withLock({ $0.workspace }) else { return }
    if artifacts {
      do {
        var files = state.withLock { $0.files }
        if files == nil {
          files = try await workspace.artifacts(assignment.specification.artifacts, services.configuration, logger)
          state.withLock { [files] in $0.files = files }
        }
        let facts = try await services.uploader.send(files ?? [], lease: lease, logger: logger)
        state.withLock { $0.artifacts = facts }
      } catch UploadFailure.leaseLost {
        handle(.leaseLost)
        return
      } catch {
        let failure = TryWorkspace.failure(error)
        state.withLock { $0.failure = failure }
      }
    }
    _ = await workspace.shipper.drained()
  }

  private func clear() async {
    update.finish()
    guard let directory = state.withLock({ $0.isAbandoned ? nil : $0.workspace?.directory }) else { return }
    do {
      // In a task of its own: the folder goes also when this one was canceled.
      try await Task { try await NIOThreadPool.singleton.runIfActive { try directory.remove() } }.value
    } catch {
      logger.error("the job's folder can't be removed: \(error)")
    }
  }

  // MARK: The report

  private func report() -> MinerMessage {
    var (outcome, workspace, endedAt): (TryOutcome, TryWorkspace?, MonotonicTime?) = state.withLock { state in
      let outcome = TryOutcome(
        stop: state.machine.stop, result: state.result, failure: state.failure, artifacts: state.artifacts)
      return (outcome, state.workspace, state.endedAt)
    }
    outcome.stdout = workspace?.stdout.spool.fact ?? .empty
    outcome.stderr = workspace?.stderr.spool.fact ?? .empty
    let age = endedAt.map { Seconds(milliseconds: max(0, services.clock.monotonic.milliseconds - $0.milliseconds)) }
    let message = outcome.report(lease: lease) { report in
      report.endedAgo = age
      report.sign(of: assignment.job, with: services.work.signingKey)
    }
    switch message {
    case .done: logger.info("ended", metadata: ["outcome": "completed"])
    case .failed(let report): logger.info("ended", metadata: ["outcome": "\(report.error?.code.rawValue ?? "")"])
    default: break
    }
    return message
  }
}
