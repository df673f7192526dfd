import Clocks
import Hummingbird
import Logging
import Marketplace
import ServiceLifecycle
import UnixSignals

/// Runs the application until SIGTERM or SIGINT, and bounds how long it takes to stop.
///
/// The server ends when its last request has, and a client that reads a download slowly, or not at all, would decide when
/// that is. So whoever waits is told at once, and what has not ended when the time is over is cut: downloads go on with
/// `Range` at the next start.
struct StoppingInTime<App: ApplicationProtocol>: Service {
  let application: App
  let limit: Seconds
  let clock: any MarketClock
  /// Called when the stop begins.
  let begin: @Sendable () -> Void
  /// Called when the time is over, unless all had ended.
  let cut: @Sendable () -> Void

  init(
    application: App, limit: Seconds, clock: any MarketClock, begin: @escaping @Sendable () -> Void,
    cut: @escaping @Sendable () -> Void
  ) {
    self.application = application
    self.limit = limit
    self.clock = clock
    self.begin = begin
    self.cut = cut
  }

  /// Runs as the program's only service.
  func run(logger: Logger) async throws {
    try await ServiceGroup(
      configuration: ServiceGroupConfiguration(
        services: [self], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
    ).run()
  }

  func run() async throws {
    try await withGracefulShutdownHandler {
      try await application.run()
    } onGracefulShutdown: {
      begin()
      Task { [limit, clock, cut] in
        // Ends with the process when that is sooner.
        try await clock.sleep(for: limit)
        cut()
      }
    }
  }
}
