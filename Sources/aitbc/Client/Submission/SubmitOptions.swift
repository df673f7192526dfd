import ArgumentParser
import Marketplace

/// What the job needs of a miner.
struct ConstraintOptions: ParsableArguments {
  @Option(help: ArgumentHelp("GPU by name, like A100.", valueName: "name")) var gpu: String?
  @Option(help: ArgumentHelp("How many GPUs, 1 to 1024.", valueName: "count")) var gpuCount: Int?
  @Option(help: ArgumentHelp("GiB of memory on each GPU, 1 to 65536.", valueName: "gib")) var minVramGb: Int?
  @Option(help: ArgumentHelp("Least CUDA version.", valueName: "version")) var cuda: String?
  @Option(help: ArgumentHelp("Where the miner must be.", valueName: "name")) var region: String?
  @Option(help: ArgumentHelp("Highest price per GPU-hour.", valueName: "amount")) var maxPrice: String?
  @Option(help: ArgumentHelp("CPU cores, 1 to 65536.", valueName: "count")) var cpus: Int?
  @Option(help: ArgumentHelp("MiB of memory, 1 to 1073741824.", valueName: "mib")) var memoryMb: Int?
  @Option(help: ArgumentHelp("A label the miner must have. May be repeated.", valueName: "name=value")) var minerLabel:
    [NameValue] = []
  @Flag(help: "Ask for network access; given only where the miner's operator allows it.") var network = false
}

/// How the job is treated.
struct TreatmentOptions: ParsableArguments {
  @Option(help: ArgumentHelp("A name for people.", valueName: "text")) var name: String?
  @Option(help: ArgumentHelp("A label on the job. May be repeated.", valueName: "name=value")) var label: [NameValue] =
    []
  @Option(help: "low, normal, high or urgent; changes the price.") var priority: PriorityWord?
  @Option(
    help: ArgumentHelp("How long it may wait in the queue, 1s to 366d. Default 15m.", valueName: "time"),
    transform: TimeSpan.upTo(.days(366)))
  var ttl: TimeSpan?
  @Option(
    help: ArgumentHelp("How long it may run, 1s to 366d. Default 1h.", valueName: "time"),
    transform: TimeSpan.upTo(.days(366)))
  var timeout: TimeSpan?
  @Option(help: ArgumentHelp("On how many miners it may be tried, 1 to 100. Default 3.", valueName: "count"))
  var maxTries: Int?
  @Option(
    help: ArgumentHelp(
      "A failure after which it is tried again, like TIMEOUT or EXIT_NONZERO. May be repeated.", valueName: "code"))
  var retryOn: [RetryCode] = []
  @Option(help: ArgumentHelp("One active job for each such key.", valueName: "key")) var runKey: String?
  @Flag(help: "With --run-key: one execution ever.") var strict = false
  @Option(help: ArgumentHelp("Not before this time.", valueName: "time")) var notBefore: String?
  @Flag(help: "Fail at once when no miner could ever run it.") var failFast = false
}

/// What may be tried again.
struct RetryCode: ExpressibleByArgument, Hashable, Sendable {
  let code: JobErrorCode

  init?(argument: String) {
    guard let code = JobErrorCode.retriable.first(where: { $0.rawValue == argument.uppercased() }) else { return nil }
    self.code = code
  }
}

enum PriorityWord: String, ExpressibleByArgument, CaseIterable, Sendable { case low, normal, high, urgent }

/// What is to be done.
struct WorkOptions: ParsableArguments {
  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "A file or folder for the job's working directory. May be repeated. With --model: a file with the model's input.",
      valueName: "path[:target]"))
  var input: [String] = []
  @Option(help: ArgumentHelp("A variable of the job's environment. May be repeated.", valueName: "name=value")) var env:
    [NameValue] = []
  @Option(
    help: ArgumentHelp(
      "A path in the working directory to keep, besides $AITBC_OUTPUT_DIR. May be repeated.", valueName: "path"))
  var artifact: [String] = []
  @Option(help: ArgumentHelp("A model to ask (inference).", valueName: "name")) var model: String?
  @Option(help: ArgumentHelp("What to ask it.", valueName: "text")) var prompt: String?
  @Option(help: ArgumentHelp("The runner, where it is not a command: noop, inference, …", valueName: "name")) var type:
    String?
  @Option(help: ArgumentHelp("The runner's payload: JSON, or @FILE.", valueName: "json")) var payload: String?
  @Option(name: .shortAndLong, help: ArgumentHelp("A job as JSON; options change its members.", valueName: "path"))
  var file: String?
}
