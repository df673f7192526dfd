public import Clocks
public import Logging
import Marketplace
import MarketplaceClient
import Synchronization

/// The miner: takes jobs from a coordinator, runs them, brings their results back.
///
/// Its long-lived tasks, all children of ``run()``:
/// - the channel (``ChannelClient``): one connection after the other, with its own task for renewals;
/// - the fence: stops what could not be renewed in time;
/// - one task for each try (``TryExecution``).
public final class MinerDaemon: Sendable {
  private let configuration: MinerConfiguration
  private let clock: any MarketClock
  private let logger: Logger
  private let connector: MinerConnector?
  private let transfers: Transfers?

  /// How often the operator has asked for the end, and who is to be told.
  private struct Stop {
    var requests = 0
    var core: MinerCore?
  }
  private let stop = Mutex(Stop())

  /// Where inputs come from and artifacts go to, when that is not the coordinator's HTTP.
  struct Transfers: Sendable {
    var destination: any ArtifactDestination
  }

  /// - Parameter connector: opens channels. Nil: WebSocket connections to the configured coordinator.
  public convenience init(
    _ configuration: MinerConfiguration, clock: any MarketClock = SystemClock(), logger: Logger,
    connector: MinerConnector? = nil
  ) {
    self.init(configuration, clock: clock, logger: logger, connector: connector, transfers: nil)
  }

  init(
    _ configuration: MinerConfiguration, clock: any MarketClock, logger: Logger, connector: MinerConnector?,
    transfers: Transfers?
  ) {
    self.configuration = configuration
    self.clock = clock
    self.logger = logger
    self.connector = connector
    self.transfers = transfers
  }

  /// What SIGTERM does: the first time drains (running jobs finish, nothing new is taken), the second time ends
  /// running jobs and leaves, the third time leaves at once. For any thread.
  public func terminate() {
    let (requests, core) = stop.withLock { stop in
      stop.requests += 1
      return (stop.requests, stop.core)
    }
    switch requests {
    case 1: logger.notice("draining: running jobs finish, nothing new is taken")
    case 2: logger.notice("leaving: running jobs are ended")
    case 3: logger.notice("leaving at once")
    default: return
    }
    core?.ask()
  }

  /// Runs until the miner was drained or told to leave; nothing of any job is left then.
  ///
  /// - Throws: ``InvalidConfiguration``, ``SandboxUnavailable``, `FileError` for the work directory,
  ///   ``ChannelRefused``; ``UndeliveredResults`` when it had to go with results that nobody took;
  ///   `CancellationError` when the task was canceled, with all payloads killed.
  public func run() async throws {
    try configuration.validate()
    let work = try await WorkDirectory.open(configuration.workDirectory, clock: clock)
    let sandbox = try await SandboxProbe(
      mode: configuration.sandbox, readable: configuration.sandboxReadable,
      hidden: configuration.sandboxHidden + [work.path], executable: configuration.supervisorExecutable
    ).run(logger: logger)
    let groups = try controlGroups(work)
    defer { groups?.close() }
    var client = ClientConfiguration(url: configuration.url, apiKey: configuration.apiKey)
    client.userAgent = "aitbc-miner/" + configuration.version
    client.clock = clock
    client.logger = logger
    let transport = HTTPTransport(client)
    let inference = inferenceTransport()
    let services = TryServices(
      configuration: configuration, work: work, runners: runners(sandbox, groups, inference),
      inputs: InputFetcher(
        transport: transport, clock: clock, timeout: configuration.inputTimeout,
        cache: try inputCache(work, transport)),
      uploader: ArtifactUploader(
        destination: transfers?.destination ?? HTTPArtifactDestination(transport: transport)),
      clock: clock, logger: logger)
    let facts = await HostFacts.detect(executable: configuration.supervisorExecutable)
    if configuration.gpus == nil, facts.gpus.isEmpty {
      logger.info("no GPU found: nvidia-smi is not there or does not answer")
    }
    let core = MinerCore(services, offer: configuration.offer(facts))
    let outcome: Result<Void, any Error>
    do {
      outcome = .success(try await operate(core))
    } catch {
      outcome = .failure(error)
    }
    await transport.shutdown()
    await inference?.shutdown()
    try outcome.get()
  }

  private func inputCache(_ work: WorkDirectory, _ transport: HTTPTransport) throws -> BlobCache? {
    guard configuration.cacheBytes > 0 else { return nil }
    return try BlobCache(
      directory: work.path + "/cache", limit: configuration.cacheBytes, transport: transport, clock: clock,
      logger: logger)
  }

  private func operate(_ core: MinerCore) async throws {
    let requests = stop.withLock { stop in
      stop.core = core
      return stop.requests
    }
    defer { stop.withLock { $0.core = nil } }
    // Asked before there was anybody to ask.
    for _ in 0..<min(requests, 3) { core.ask() }
    let logger = logger
    let configuration = configuration
    let connect: MinerConnector =
      connector ?? { try await WebSocketMinerConnection.open(configuration, logger: logger) }
    var told = logger
    told[metadataKey: "coordinator"] = "\(configuration.url)"
    let channel = ChannelClient(
      core: core, connect: connect, clock: clock, backoff: configuration.reconnect, logger: told)
    try await withThrowingTaskGroup(of: Bool.self) { group in
      group.addTask {
        try await channel.run()
        return false
      }
      group.addTask(priority: .high) { [clock] in
        while !core.mayGo() { try await clock.sleep(until: core.fence()) }
        return true
      }
      group.addTask {
        await withDiscardingTaskGroup { tries in
          for await execution in core.starts {
            tries.addTask {
              await execution.run()
              core.finished(execution)
            }
          }
          tries.cancelAll()
        }
        return false
      }
      group.addTask {
        for await _ in core.changes where core.mayGo() { return true }
        return false
      }
      defer { core.close() }
      while let isOver = try await group.next() { if isOver { break } }
      let undelivered = core.abandon()
      group.cancelAll()
      while await group.nextResult() != nil {}
      if !undelivered.isEmpty { throw UndeliveredResults(folders: undelivered) }
    }
  }

  private func runners(
    _ sandbox: Sandbox, _ groups: ControlGroups?, _ inference: HTTPTransport?
  ) -> [String: any Runner] {
    let settings = ProcessRunner.Settings(
      sandbox: sandbox, limits: configuration.limits, groups: groups, groupLimits: configuration.groupLimits,
      searchPath: configuration.searchPath, allowsNetwork: configuration.allowsNetwork,
      stopGrace: configuration.stopGrace, executable: configuration.supervisorExecutable)
    var runners: [String: any Runner] = ["process": ProcessRunner(settings: settings, template: nil)]
    for template in configuration.runners {
      runners[template.name] = ProcessRunner(settings: settings, template: template)
    }
    if let inference {
      runners["inference"] = InferenceRunner(transport: inference, key: configuration.inferenceKey, clock: clock)
    }
    return runners
  }

  /// The miner's control groups; nil, with the reason in the log, where it can have none. Throws
  /// ``InvalidConfiguration`` when the operator wants limits that only they can set.
  private func controlGroups(_ work: WorkDirectory) throws -> ControlGroups? {
    guard configuration.usesControlGroups else { return nil }
    let wanted = configuration.groupLimits
    do {
      let groups = try ControlGroups.open(name: work.groupName)
      guard groups.canLimit || wanted.isEmpty else {
        groups.close()
        throw ControlGroups.Unavailable(
          description: "the controllers memory, pids and cpu are not handed down to this process")
      }
      logger.notice(
        "jobs run in control groups", metadata: ["path": "\(groups.path)", "limits": "\(groups.canLimit)"])
      return groups
    } catch let reason as ControlGroups.Unavailable {
      guard wanted.isEmpty else {
        throw InvalidConfiguration("--job-memory, --job-processes and --job-cpus need control groups: \(reason)")
      }
      logger.notice("jobs run without control groups", metadata: ["reason": "\(reason)"])
      return nil
    }
  }

  /// No key of ours goes to the inference service, and one answer may take as long as a job.
  private func inferenceTransport() -> HTTPTransport? {
    guard let url = configuration.inferenceURL else { return nil }
    var client = ClientConfiguration(url: url)
    client.userAgent = "aitbc-miner/" + configuration.version
    client.silenceTimeout = Seconds.days(1)
    client.clock = clock
    client.logger = logger
    return HTTPTransport(client)
  }
}
