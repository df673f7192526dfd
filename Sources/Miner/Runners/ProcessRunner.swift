import JSON
import Marketplace
import NIOPosix
import Synchronization
import Wire

/// Runs a program: the job's own command (`process`), or an operator's template filled with the job's payload.
struct ProcessRunner: Runner {
  /// What it needs of the miner.
  struct Settings: Sendable {
    var sandbox: Sandbox
    var limits: ProcessLimits
    var groups: ControlGroups?
    var groupLimits: GroupLimits
    var searchPath: String
    var allowsNetwork: Bool
    var stopGrace: Seconds
    var executable: String
  }

  let settings: Settings
  /// Nil: the job's own command.
  let template: RunnerTemplate?

  func run(_ context: RunContext) async -> RunResult {
    let program: String
    let process: SupervisedProcess
    do {
      let command = try command(for: context)
      program = command.arguments.first ?? ""
      process = try await SupervisedProcess.start(command, executable: settings.executable)
    } catch let error as InvalidCommand {
      return RunResult(.failed(JobError(.launchFailed, error.description)))
    } catch {
      return RunResult(.failed(JobError(.minerError, "no process could be started: \(error)")))
    }
    context.control.handle { request in
      switch request {
      case .terminate(let grace): process.terminate(grace: grace)
      case .kill: process.kill()
      case .fence(let moment): process.fence(at: moment)
      }
    }
    let stopped = await follow(process, context)
    let end = await process.end
    return end.result(program: program, timeout: context.specification.timeout, stopped: stopped)
  }

  /// Brings output and progress to where they belong until the process has ended.
  private func follow(_ process: SupervisedProcess, _ context: RunContext) async -> RunnerStop? {
    let stopped = Mutex<RunnerStop?>(nil)
    let failed: @Sendable (RunnerStop) -> Void = { reason in
      stopped.withLock { $0 = $0 ?? reason }
      process.kill()
    }
    let progress = await ProgressPipe.open(context.directory.progress)
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await context.stdout.copy(process.stdout, failed: failed) }
      group.addTask { await context.stderr.copy(process.stderr, failed: failed) }
      group.addTask { if await process.started { context.started() } }
      if let progress {
        group.addTask { await progress.follow(context.progress) }
        // The FIFO has no end of its own: we hold it open ourselves.
        group.addTask {
          _ = await process.end
          progress.close()
        }
      }
    }
    return stopped.withLock { $0 }
  }

  private func command(for context: RunContext) throws(InvalidCommand) -> SupervisedCommand {
    let specification = context.specification
    let arguments = try template?.command(for: specification.payload) ?? specification.command
    let directory = context.directory
    var command = SupervisedCommand(
      arguments: arguments, environment: environment(for: context), directory: directory.work)
    command.limits = settings.limits
    command.timeout = specification.timeout
    command.timeoutGrace = settings.stopGrace
    command.group = group(for: context)
    command.fence = context.control.fence
    command.label = "\(context.assignment.job).\(context.assignment.tryNumber)"
    if case .bubblewrap(let bubblewrap) = settings.sandbox {
      let profile = Bubblewrap.Profile(
        writable: [directory.work, directory.output, directory.progress], temporary: directory.temporary,
        allowsNetwork: settings.allowsNetwork && specification.constraints.network,
        devices: GPUDevices.files(for: context.gpus))
      command.sandbox = bubblewrap.commandLine(for: profile)
    }
    return command
  }

  /// The try's control group. What the job asks for is also what it gets; the operator's limits hold for all.
  private func group(for context: RunContext) -> ControlGroup? {
    guard let groups = settings.groups else { return nil }
    var group = groups.group("\(context.assignment.job).\(context.assignment.tryNumber)")
    guard groups.canLimit else { return group }
    let constraints = context.specification.constraints
    let limits = settings.groupLimits
    group.memory = [constraints.memoryMiB.map { Int64($0) << 20 }, limits.memory].compactMap(\.self).min()
    group.millicpus = [constraints.cpus.map { Int64($0) * 1_000 }, limits.millicpus].compactMap(\.self).min()
    group.processes = limits.processes
    return group
  }

  /// The job's own variables may replace the common ones, never those that are the contract's.
  private func environment(for context: RunContext) -> [(name: String, value: String)] {
    let directory = context.directory
    let isSandboxed = if case .bubblewrap = settings.sandbox { true } else { false }
    let common = [
      ("PATH", settings.searchPath), ("HOME", directory.work), ("LANG", "C.UTF-8"),
      ("TMPDIR", isSandboxed ? "/tmp" : directory.temporary), ("PYTHONUNBUFFERED", "1"),
    ]
    let given = context.specification.environment.map { ($0.name, $0.value) }
    let fixed = [
      ("AITBC_JOB_ID", context.assignment.job.rawValue), ("AITBC_TRY", "\(context.assignment.tryNumber)"),
      ("AITBC_OUTPUT_DIR", directory.output), ("AITBC_PROGRESS", directory.progress),
      ("CUDA_VISIBLE_DEVICES", context.gpus.map(String.init).joined(separator: ",")),
      (SupervisedCommand.markerName, directory.marker),
    ]
    var values: [String: String] = [:]
    var order: [String] = []
    for (name, value) in common + given + fixed where values.updateValue(value, forKey: name) == nil {
      order.append(name)
    }
    return order.map { (name: $0, value: values[$0] ?? "") }
  }
}

/// Device files of NVIDIA's driver.
enum GPUDevices {
  static func files(for gpus: [Int]) -> [String] {
    guard !gpus.isEmpty else { return [] }
    return gpus.map { "/dev/nvidia\($0)" }
      + ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset", "/dev/nvidia-caps"]
  }
}
