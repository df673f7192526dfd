import ArgumentParser
import Coordinator
import Marketplace

/// `aitbc coordinator`.
struct CoordinatorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "coordinator", abstract: "Run the market: API, live feeds, queue, results, pages.",
    discussion: """
      The first start makes an account with a key for each role (client.key, miner.key, admin.key in the keys folder). \
      Ready when GET /readyz answers 200. SIGTERM or Ctrl-C: finish what is being written, then exit.
      """)

  @Option(help: ArgumentHelp("Address to listen on.", valueName: "address")) var host = "127.0.0.1"
  @Option(help: ArgumentHelp("Port to listen on; 0 takes a free one.", valueName: "number")) var port = 8000
  @Option(help: ArgumentHelp("Folder of database and files.", valueName: "folder")) var dataDir = "data"
  @Option(help: ArgumentHelp("Folder of signing keys and first keys.", valueName: "folder")) var keysDir = "keys"
  @Option(help: ArgumentHelp("Folder of the pages. Default: web-static, where it is found.", valueName: "folder"))
  var webDir: String?
  @Option(help: ArgumentHelp("The address that links name, behind a proxy.", valueName: "url")) var publicUrl: String?
  @Option(help: ArgumentHelp("A further name that browsers may use. May be repeated.", valueName: "host"))
  var allowedHost: [String] = []
  @Option(
    help: ArgumentHelp(
      "How long a miner keeps a job without a sign of life, at most 1h. Default 15s.", valueName: "time"),
    transform: TimeSpan.upTo(Self.hour))
  var lease = TimeSpan(Seconds(15))
  @Option(
    help: ArgumentHelp("Free space under which no new jobs and inputs are taken. Default 256MiB.", valueName: "size"),
    transform: ByteSize.read)
  var diskFloor = ByteSize(256 << 20)
  @Option(
    help: ArgumentHelp(
      "Space kept back, so that jobs can be canceled and can end on a full disk; at most the floor, 0 keeps none. Default 64MiB.",
      valueName: "size"),
    transform: ByteSize.read)
  var diskReserve = ByteSize(64 << 20)
  @Option(
    help: ArgumentHelp(
      "Jobs of one account that miners may hold at once, 1 or more. Default: by plan.", valueName: "count"))
  var runningLimit: Int?
  @Option(help: ArgumentHelp("Requests in a second from one key, up to 1000000; 0: no limit.", valueName: "count"))
  var rateLimit: Int64 = 10_000
  @Option(help: ArgumentHelp("The market's share of every charge, 0 to 100, like 2.5.", valueName: "per cent"))
  var fee = FeePercent(.none)
  @Option(
    help: ArgumentHelp("Tests: run this far ahead of the machine's clock.", valueName: "time", visibility: .hidden),
    transform: TimeSpan.read)
  var clockOffset: TimeSpan?
  @Option(help: ArgumentHelp("Live feeds that one account may have open.", valueName: "number")) var feedsPerAccount =
    100
  @Option(help: ArgumentHelp("Live feeds from one remote address.", valueName: "number")) var feedsPerAddress = 100
  @Option(help: ArgumentHelp("Jobs whose logs one live feed may follow.", valueName: "number"))
  var feedSubscriptions = 100
  @Option(
    help: ArgumentHelp(
      "Size of one message from a client on a live feed, 256 to 16MiB. Default 64KiB.", valueName: "size"),
    transform: ByteSize.read)
  var feedMessageSize = ByteSize(64 << 10)
  @Option(
    help: ArgumentHelp("How often a WebSocket is pinged, at most 1h. Default 25s.", valueName: "time"),
    transform: TimeSpan.upTo(Self.hour))
  var pingInterval = TimeSpan(Seconds(25))
  @Option(
    help: ArgumentHelp(
      "How long a WebSocket's peer may stay silent after a ping before it is dropped, at most 1h. Default 10s.",
      valueName: "time"),
    transform: TimeSpan.upTo(Self.hour))
  var pongTimeout = TimeSpan(Seconds(10))
  @Option(
    help: ArgumentHelp("How long a stop waits for requests under way, at most 1h. Default 10s.", valueName: "time"),
    transform: TimeSpan.upTo(Self.hour))
  var stopTimeout = TimeSpan(Seconds(10))
  @OptionGroup var log: LogOptions

  private static let hour = Seconds(3600)

  func validate() throws {
    guard (0...65_535).contains(port) else { throw ValidationError("--port must be between 0 and 65535.") }
    guard !host.isEmpty else { throw ValidationError("--host must not be empty.") }
    guard diskReserve.bytes <= diskFloor.bytes else {
      throw ValidationError("--disk-reserve must not be larger than --disk-floor.")
    }
    if let runningLimit, runningLimit < 1 { throw ValidationError("--running-limit must be 1 or more.") }
    guard (0...1_000_000).contains(rateLimit) else {
      throw ValidationError("--rate-limit must be between 0 and 1000000.")
    }
    guard feedsPerAccount > 0 else { throw ValidationError("--feeds-per-account must be at least 1.") }
    guard feedsPerAddress > 0 else { throw ValidationError("--feeds-per-address must be at least 1.") }
    guard feedSubscriptions > 0 else { throw ValidationError("--feed-subscriptions must be at least 1.") }
    guard (256...16 << 20).contains(feedMessageSize.bytes) else {
      throw ValidationError("--feed-message-size must be between 256 and 16MiB.")
    }
  }

  func run() async throws {
    let context = CommandContext.current
    var configuration = CoordinatorConfiguration()
    configuration.host = host
    configuration.port = port
    configuration.dataDirectory = dataDir
    configuration.keysDirectory = keysDir
    configuration.webDirectory = webDir
    configuration.publicURL = publicUrl
    configuration.allowedHosts = allowedHost
    configuration.leaseTerm = lease.seconds
    configuration.stopTimeout = stopTimeout.seconds
    configuration.diskFloor = diskFloor.bytes
    configuration.diskReserve = diskReserve.bytes
    configuration.runningLimit = runningLimit
    configuration.fee = fee.rate
    configuration.rateLimit = rateLimit
    configuration.clockOffset = clockOffset?.seconds ?? Seconds(0)
    configuration.feeds.connectionsPerAccount = feedsPerAccount
    configuration.feeds.connectionsPerAddress = feedsPerAddress
    configuration.feeds.subscriptions = feedSubscriptions
    configuration.feeds.messageSize = Int(feedMessageSize.bytes)
    configuration.pingInterval = pingInterval.seconds
    configuration.pongTimeout = pongTimeout.seconds
    let name = host.contains(":") ? "[\(host)]" : host
    // Tests and scripts read the port from here when they asked for a free one.
    do {
      try await CoordinatorServer.run(configuration, log: log.logger("coordinator", in: context)) { port in
        try? context.output.line("listening on http://\(name):\(port)")
      }
    } catch let error as StartError {
      throw CommandFailure(error.isConflict ? .busy : .failure, error.description, hint: error.hint)
    }
  }
}
