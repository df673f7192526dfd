import Clocks
import FoundationEssentials
import Hummingbird
import HummingbirdCore
public import Logging
import Marketplace
import NIOCore
import NIOPosix
import ServiceLifecycle
import Store
import UnixSignals
import WebSocket
import WebSocketTransport

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
    OpenFiles.raiseLimit()
    try ListenProbe.check(configuration)
    let clock = SystemClock(ahead: configuration.clockOffset)
    let metrics = MarketMetrics()
    let (store, files) = try open(configuration, clock: clock, log: log, metrics: metrics.store)
    let firstRun = FirstRun(store: store, keysDirectory: configuration.keysDirectory, clock: clock, log: log)
    try await firstRun.prepare()
    let signingKeys = try SigningKeys(directory: configuration.keysDirectory)
    let blocking = NIOThreadPool(numberOfThreads: max(4, System.coreCount * 2))
    blocking.start()
    let source = MarketFeedSource(store: store, files: files, blocking: blocking)
    let lastSequence = try await store.read { try $0.lastSequence() }
    let hub = PushHub(source: source, clock: clock, lastSequence: lastSequence, limits: configuration.feeds)
    let market = Market(
      configuration: configuration, store: store, files: files, clock: clock, signingKeys: signingKeys, hub: hub,
      blocking: blocking, log: log, metrics: metrics)
    source.attach(market)
    store.setEventHandler { events in
      metrics.take(events)
      hub.publish(events: events)
    }
    try await market.authenticator.load(from: store)
    try await market.dispatcher.restore()
    market.history.load(try await store.read { try $0.runTimes() })
    try await serve(market, log: log, onReady: onReady)
    try await store.close()
    try await blocking.shutdownGracefully()
    log.notice("stopped")
  }

  /// Opens what the data directory holds. Throws ``StartError``.
  private static func open(
    _ configuration: CoordinatorConfiguration, clock: any MarketClock, log: Logger, metrics: StoreMetrics
  ) throws -> (SQLiteStore, FileStore) {
    let directory = configuration.dataDirectory
    let reserve = DiskReserve(directory: directory, bytes: configuration.diskReserve)
    do {
      let store = try SQLiteStore.open(
        directory: directory, clock: clock, log: log, reserve: reserve, metrics: metrics)
      // Not before the directory is ours.
      reserve.open()
      if reserve.isSpent {
        log.warning("no room to keep space back: the disk is full", metadata: ["bytes": "\(reserve.bytes)"])
      }
      return (store, try FileStore(directory: directory, reserve: reserve))
    } catch {
      throw StartError(opening: directory, error)
    }
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
    _ market: Market, log: Logger, onReady: @escaping @Sendable (Int) -> Void
  ) async throws {
    let configuration = market.configuration
    let readiness = Readiness()
    let origins = HostPolicy.origins(configuration)
    let gate = FeedGate(market: market, origins: origins)
    let routes = MarketRoutes(
      market: market, readiness: readiness, gate: gate, pages: StaticFiles(directory: webDirectory(configuration)))
    let idle = TimeAmount.milliseconds(configuration.idleTimeout.milliseconds)
    let drain = TimeAmount.milliseconds(configuration.drainTimeout.milliseconds)
    let upgrader = Admission(market: market, gate: gate, origins: origins).upgrader()
    gate.countSockets { upgrader.openSockets }
    let connections = OpenChannels()
    let application = Application(
      responder: MarketResponder(
        inner: routes.router.buildResponder(), routes: routes.table, targetLimit: configuration.targetLimit,
        limiter: RateLimiter(rate: configuration.rateLimit, clock: market.clock), metrics: routes.requests, log: log),
      server: HTTPServerBuilder { responder in
        MarketChannel(
          responder: responder, idleTimeout: idle, drainLimit: configuration.drainLimit, drainTimeout: drain,
          upgrader: upgrader, connections: connections)
      },
      configuration: ApplicationConfiguration(
        address: .hostname(configuration.host, port: configuration.port), backlog: 4_096,
        availableConnectionsDelegate: MaximumAvailableConnections(configuration.connectionLimit)),
      services: [Housekeeping(market: market)],
      onServerRunning: { channel in
        let port = channel.localAddress?.port ?? configuration.port
        readiness.set(true)
        log.notice("ready", metadata: ["address": "http://\(configuration.host):\(port)"])
        onReady(port)
      }, logger: log)
    let stopping = StoppingInTime(application: application, limit: configuration.stopTimeout, clock: market.clock) {
      readiness.set(false)
      market.polling.stop()
      market.hub.shutdown()
      upgrader.stop()
    } cut: {
      market.packages.stop()
      if connections.closeAll() > 0 { log.notice("stopping: requests that had not ended were cut") }
    }
    do {
      try await stopping.run(logger: log)
    } catch let error as IOError {
      throw StartError(listening: configuration, code: error.errnoCode)
    }
    await upgrader.wait()
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
