import Clocks
import Cryptography
import FoundationEssentials
import Hummingbird
import HummingbirdCore
import JSON
public import Logging
import Marketplace
import NIOCore
import NIOPosix
import ServiceLifecycle
import Store
import UnixSignals
import WebSocket

/// The coordinator as a program: opens everything, serves until SIGTERM or SIGINT, stops in order.
public enum CoordinatorServer {
  /// The program's version.
  public static let version = "0.1.0"

  /// Serves until it is told to stop. `onReady` gets the port once requests are answered. Throws ``StartError`` and
  /// what the store throws when it can't start.
  public static func run(
    _ configuration: CoordinatorConfiguration, log: Logger, onReady: @escaping @Sendable (Int) -> Void = { _ in }
  ) async throws {
    if let armed = try Self.crashPoint() {
      log.critical("this process will kill itself: it was started for a test", metadata: ["crash_point": "\(armed)"])
    }
    let clock = SystemClock()
    let store = try SQLiteStore.open(directory: configuration.dataDirectory, clock: clock, log: log)
    let files = try FileStore(directory: configuration.dataDirectory)
    let firstRun = FirstRun(store: store, keysDirectory: configuration.keysDirectory, clock: clock, log: log)
    try await firstRun.prepare()
    let signingKey = try firstRun.signingKey()
    let blocking = NIOThreadPool(numberOfThreads: max(4, System.coreCount * 2))
    blocking.start()
    let source = MarketFeedSource(store: store, files: files, blocking: blocking)
    let lastSequence = try await store.read { try $0.lastSequence() }
    let hub = PushHub(source: source, clock: clock, lastSequence: lastSequence)
    let market = Market(
      configuration: configuration, store: store, files: files, clock: clock, signingKey: signingKey, hub: hub,
      blocking: blocking, log: log)
    source.attach(market)
    store.setEventHandler { events in hub.publish(events: events) }
    try await market.authenticator.load(from: store)
    try await market.dispatcher.restore()
    try await serve(market, publicKey: signingKey.publicKey, log: log, onReady: onReady)
    try await store.close()
    try await blocking.shutdownGracefully()
    log.notice("stopped")
  }

  /// What a test asks for in the environment.
  private static func crashPoint() throws -> String? {
    do {
      return try CrashPoint.armed()
    } catch StoreError.failed(let reason) {
      throw StartError(reason)
    }
  }

  private static func serve(
    _ market: Market, publicKey: Ed25519PublicKey, log: Logger, onReady: @escaping @Sendable (Int) -> Void
  ) async throws {
    let configuration = market.configuration
    let readiness = Readiness()
    let origins = HostPolicy.origins(configuration)
    let gate = FeedGate(market: market, origins: origins)
    let router = Router(context: AppContext.self)
    JobRoutes(market: market).add(to: router)
    ListRoutes(market: market).add(to: router)
    ResultRoutes(market: market).add(to: router)
    LogRoutes(market: market).add(to: router)
    UploadRoutes(market: market).add(to: router)
    SystemRoutes(market: market, readiness: readiness, keys: keyList(publicKey)).add(to: router)
    FeedRoutes(gate: gate).add(to: router)
    StaticFiles(directory: webDirectory(configuration)).add(to: router)
    let idle = TimeAmount.milliseconds(configuration.idleTimeout.milliseconds)
    let admission = Admission(market: market, gate: gate, origins: origins)
    let application = Application(
      responder: MarketResponder(inner: router.buildResponder(), log: log),
      server: HTTPServerBuilder { responder in
        MarketChannel(responder: responder, idleTimeout: idle, upgrader: admission.upgrader())
      },
      configuration: ApplicationConfiguration(
        address: .hostname(configuration.host, port: configuration.port), backlog: 4_096,
        availableConnectionsDelegate: MaximumAvailableConnections(configuration.connectionLimit)),
      services: [Housekeeping(market: market, readiness: readiness)],
      onServerRunning: { channel in
        let port = channel.localAddress?.port ?? configuration.port
        readiness.set(true)
        log.notice("ready", metadata: ["address": "http://\(configuration.host):\(port)"])
        onReady(port)
      }, logger: log)
    try await application.runService()
  }

  /// `/v1/keys`: who verifies a package offline saves this.
  private static func keyList(_ key: Ed25519PublicKey) -> JSONValue {
    [
      "keys": [
        [
          "key_id": .string(key.id), "alg": "Ed25519", "public_key": .string(key.id), "use": "coordinator",
          "active": true,
        ]
      ]
    ]
  }

  /// The pages: where the operator said, else `web-static` in the working directory or near the executable.
  private static func webDirectory(_ configuration: CoordinatorConfiguration) -> String? {
    if let directory = configuration.webDirectory { return directory }
    var candidates = ["web-static"]
    if let executable = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") {
      var parts = executable.split(separator: "/").dropLast()
      for _ in 0..<4 {
        candidates.append("/" + parts.joined(separator: "/") + "/web-static")
        parts = parts.dropLast()
      }
      candidates.append("/usr/share/aitbc/web-static")
    }
    return candidates.first { FileManager.default.fileExists(atPath: $0 + "/index.html") }
  }
}

/// The work beside requests: claiming and maintenance. Ends with the server.
private struct Housekeeping: Service {
  let market: Market
  let readiness: Readiness

  func run() async throws {
    await cancelWhenGracefulShutdown {
      await withTaskGroup(of: Void.self) { group in
        group.addTask { await market.dispatcher.run() }
        group.addTask {
          await Maintenance(
            market: market,
            services: [
              LeaseExpiry(), QueueExpiry(), Availability(), ProgressWriter(), IdempotencyCleanup(), Packaging(),
              UploadSweep(),
            ]
          ).run()
        }
        group.addTask { await MarketFigures(market: market).run() }
        group.addTask { try? await market.hub.run() }
        await withTaskCancellationOrGracefulShutdownHandler {
          await group.waitForAll()
        } onCancelOrGracefulShutdown: {
          readiness.set(false)
          market.hub.shutdown()
        }
      }
    }
  }
}
