import ArgumentParser
import NIOCore
import NIOPosix
import WebSocket
import WebSocketTransport

/// An echo server, or the suite's client, on the channel handler and the protocol core that everything else uses. For
/// conformance runs; not shipped.
@main
struct WebSocketEcho: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "websocket-echo", abstract: "Echoes WebSocket messages, for conformance suites.")

  @Option(help: "Listen on this port; 0 takes a free one.")
  var port: Int?

  @Option(help: "Listen on this address.")
  var host = "127.0.0.1"

  @Option(help: "Instead of listening, run all cases of the fuzzing server at this URL.")
  var client: String?

  @Option(help: "The name in the fuzzing server's report.")
  var agent = "websocket-echo"

  @Flag(help: "Compress each message on its own, as the marketplace's server does.")
  var noContextTakeover = false

  func validate() throws {
    if (port == nil) == (client == nil) { throw ValidationError("give either --port or --client") }
  }

  func run() async throws {
    if let client {
      let suite = SuiteClient(
        url: client, agent: agent, configuration: WebSocketClientConfiguration(connection: settings),
        eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
      print("\(try await suite.run()) cases run")
    } else if let port {
      let server = try await WebSocketServer.bind(
        host: host, port: port, eventLoopGroup: MultiThreadedEventLoopGroup.singleton, configuration: settings,
        session: { EchoSession() })
      print("listening on \(host):\(server.port)")
      try await server.wait()
    }
  }

  /// The suite sends messages of 16 MiB, and fragments by the thousand.
  private var settings: WebSocketConfiguration {
    WebSocketConfiguration(
      limits: Limits(
        maximumFrameSize: 64 << 20, maximumMessageSize: 64 << 20, maximumFragments: 1 << 20,
        maximumControlFramesPerSecond: 100_000, deflateBomb: 64 << 20),
      compression: DeflateConfiguration(
        serverContextTakeover: !noContextTakeover, clientContextTakeover: !noContextTakeover, threshold: 0))
  }
}
