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
  @Option(help: ArgumentHelp("How long a miner keeps a job without a sign of life.", valueName: "time")) var lease =
    TimeSpan(Seconds(15))
  @Option(help: ArgumentHelp("Live feeds that one account may have open.", valueName: "number")) var feedsPerAccount =
    100
  @Option(help: ArgumentHelp("Live feeds from one remote address.", valueName: "number")) var feedsPerAddress = 100
  @OptionGroup var log: LogOptions

  func validate() throws {
    guard (0...65_535).contains(port) else { throw ValidationError("--port must be between 0 and 65535.") }
    guard !host.isEmpty else { throw ValidationError("--host must not be empty.") }
    guard feedsPerAccount > 0 else { throw ValidationError("--feeds-per-account must be at least 1.") }
    guard feedsPerAddress > 0 else { throw ValidationError("--feeds-per-address must be at least 1.") }
    guard lease.seconds <= Seconds(3600) else { throw ValidationError("--lease must be at most 1h.") }
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
    configuration.feeds.connectionsPerAccount = feedsPerAccount
    configuration.feeds.connectionsPerAddress = feedsPerAddress
    let name = host.contains(":") ? "[\(host)]" : host
    // Tests and scripts read the port from here when they asked for a free one.
    try await CoordinatorServer.run(configuration, log: log.logger("coordinator", in: context)) { port in
      try? context.output.line("listening on http://\(name):\(port)")
    }
  }
}
