import ArgumentParser
import Dispatch
import Glibc
import Marketplace
import MarketplaceClient
import Miner

/// `aitbc miner`.
struct MinerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "miner", abstract: "Run jobs of the market on this machine.",
    discussion: """
      GPUs are found with nvidia-smi unless they are named. SIGTERM or Ctrl-C once: take no more jobs and leave when the \
      present ones have ended; twice: end them and leave; three times: leave at once.
      """)

  @Option(
    help: ArgumentHelp(
      "The coordinator's address. Default: AITBC_URL, else http://localhost:8000.", valueName: "address")) var url:
    String?
  @Option(
    help: ArgumentHelp(
      "A file with a key of role miner. Default: AITBC_MINER_KEY_FILE, else keys/miner.key.", valueName: "path"))
  var apiKeyFile: String?
  @Option(help: ArgumentHelp("Shown in the fleet. Default: the host's name.", valueName: "text")) var name: String?
  @Option(help: ArgumentHelp("Jobs at a time, 1 to 10000.", valueName: "count")) var slots = 1
  @Option(help: ArgumentHelp("A label that jobs may ask for. May be repeated.", valueName: "name=value")) var label:
    [NameValue] = []
  @Option(help: ArgumentHelp("Where this machine is.", valueName: "name")) var region: String?
  @Option(help: ArgumentHelp("Asked for one GPU-hour. Default: the list price.", valueName: "amount")) var price:
    String?
  @Option(help: ArgumentHelp("A GPU, instead of what is found. May be repeated.", valueName: "name:mib")) var gpu:
    [String] = []
  @Option(help: ArgumentHelp("A model that jobs may ask for. May be repeated.", valueName: "name")) var model:
    [String] = []
  @Option(help: ArgumentHelp("Folder for identity and jobs; one miner at a time uses it.", valueName: "folder"))
  var workDir = "miner-work"
  @Option(
    help: ArgumentHelp(
      "Room for inputs that are kept for the next job, such as 512M or 10G; 0 keeps none. Default 10GiB.",
      valueName: "size"),
    transform: ByteSize.read)
  var cacheSize = ByteSize(10 << 30)
  @Option(help: "auto, bubblewrap or none.") var sandbox: SandboxName = .auto
  @Option(help: ArgumentHelp("A path that sandboxed jobs may read. May be repeated.", valueName: "path"))
  var sandboxBind: [String] = []
  @Option(help: ArgumentHelp("Memory of one job, all its processes together. Needs control groups.", valueName: "mib"))
  var jobMemory: Int64?
  @Option(help: ArgumentHelp("Processes and threads of one job. Needs control groups.", valueName: "count"))
  var jobProcesses: Int64?
  @Option(help: ArgumentHelp("Processors that one job may keep busy. Needs control groups.", valueName: "count"))
  var jobCpus: Int64?
  @Flag(help: "Give network access to jobs that ask for it.") var allowNetwork = false
  @Option(help: ArgumentHelp("A runner of your own. May be repeated.", valueName: "name=command")) var runner:
    [String] = []
  @Option(help: ArgumentHelp("An OpenAI-compatible service for the runner inference.", valueName: "address"))
  var inferenceUrl: String?
  @Option(help: ArgumentHelp("A file with the key for it.", valueName: "path")) var inferenceKeyFile: String?
  @Option(
    help: ArgumentHelp(
      "How long a draining miner without coordinator keeps finished results beyond their leases, at most 30d. Default 5m.",
      valueName: "time"),
    transform: TimeSpan.upTo(.days(30)))
  var drainTimeout = TimeSpan(Seconds(300))
  @OptionGroup var log: LogOptions

  func validate() throws {
    guard (1...10_000).contains(slots) else { throw ValidationError("--slots must be between 1 and 10000.") }
    for (name, value, most) in [
      ("--job-memory", jobMemory, 1 << 30), ("--job-processes", jobProcesses, 1 << 22), ("--job-cpus", jobCpus, 65_536),
    ] as [(String, Int64?, Int64)] {
      if let value, !(1...most).contains(value) { throw ValidationError("\(name) must be between 1 and \(most).") }
    }
    if let price, Money(decimal: price) == nil {
      throw ValidationError("--price must be an amount such as 0.05, with at most six decimals.")
    }
  }

  func run() async throws {
    let context = CommandContext.current
    let daemon = MinerDaemon(try configuration(context), logger: log.logger("miner", in: context))
    let signals = Interruption.forward([SIGTERM, SIGINT]) { daemon.terminate() }
    defer { for signal in signals { signal.cancel() } }
    do {
      try await daemon.run()
    } catch let error as WorkDirectoryInUse {
      throw CommandFailure(.busy, error.description, hint: "stop that one, or give this one its own --work-dir")
    } catch let error as ChannelRefused {
      throw CommandFailure(
        .denied, error.description,
        hint: error.concernsKey ? "--api-key-file or AITBC_MINER_KEY_FILE names a file with a key of role miner" : nil)
    }
  }

  private func configuration(_ context: CommandContext) throws -> MinerConfiguration {
    let address =
      url.map { Setting(value: $0, origin: "--url") }
      ?? context.environment["AITBC_URL"].nonEmpty.map { Setting(value: $0, origin: "AITBC_URL") }
    let keyFile = apiKeyFile ?? context.environment["AITBC_MINER_KEY_FILE"].nonEmpty ?? "keys/miner.key"
    let apiKey: String
    do {
      apiKey = try KeyFileReader.key(in: context.resolve(keyFile))
    } catch ClientError.file(_, _, ENOENT) {
      throw CommandFailure(
        .failure, "there is no \(keyFile), the key of this miner",
        hint: "copy the coordinator's keys/miner.key here, or name a file with --api-key-file or AITBC_MINER_KEY_FILE")
    }
    var configuration = MinerConfiguration(
      url: try address?.coordinatorURL ?? .localDefault,
      apiKey: apiKey, name: name ?? Self.hostName(), version: Version.text,
      workDirectory: context.resolve(workDir))
    configuration.slots = slots
    configuration.cacheBytes = cacheSize.bytes
    configuration.labels = Dictionary(label.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
    configuration.region = region
    configuration.price = price.flatMap { Money(decimal: $0) }
    configuration.models = model
    configuration.sandbox = SandboxMode(rawValue: sandbox.rawValue) ?? .auto
    configuration.sandboxReadable = sandboxBind
    configuration.sandboxHidden = Self.keyFolder(of: context.resolve(keyFile)).map { [$0] } ?? []
    configuration.allowsNetwork = allowNetwork
    configuration.drainTimeout = drainTimeout.seconds
    configuration.groupLimits = GroupLimits(
      memory: jobMemory.map { $0 << 20 }, processes: jobProcesses, millicpus: jobCpus.map { $0 * 1_000 })
    configuration.inferenceURL = try inferenceUrl.map {
      try Setting(value: $0, origin: "--inference-url").coordinatorURL
    }
    configuration.inferenceKey = try inferenceKeyFile.map { try KeyFileReader.key(in: context.resolve($0)) }
    do {
      if !gpu.isEmpty { configuration.gpus = try gpu.map { try GPUOption($0).device } }
      configuration.runners = try runner.map { try RunnerTemplate($0) }
      try configuration.validate()
    } catch {
      throw CommandFailure(.usage, String(describing: error))
    }
    return configuration
  }

  /// The folder that jobs must not see because a key lies in it; nil for one right under the root, such as `/etc`, which
  /// jobs can't do without.
  private static func keyFolder(of file: String) -> String? {
    guard let pointer = realpath(file, nil) else { return nil }
    defer { free(pointer) }
    let parts = String(cString: pointer).split(separator: "/").dropLast()
    return parts.count >= 2 ? "/" + parts.joined(separator: "/") : nil
  }

  private static func hostName() -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard gethostname(&buffer, buffer.count - 1) == 0 else { return "miner" }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

enum SandboxName: String, ExpressibleByArgument, CaseIterable, Sendable { case auto, bubblewrap, none }
