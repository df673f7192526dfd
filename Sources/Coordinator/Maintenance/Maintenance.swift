import Clocks
import Logging
import Marketplace
import Store

/// One small duty that is done again and again.
protocol MaintenanceService: Sendable {
  /// For the log.
  static var name: String { get }
  /// The pause between two rounds.
  var interval: Seconds { get }
  /// Does what is due now. True when there is more to do at once.
  func round(_ market: Market) async throws -> Bool
}

/// Runs services side by side until it is canceled. A round that fails is logged and tried again after the pause.
struct Maintenance {
  let market: Market
  let services: [any MaintenanceService]

  func run() async {
    await withTaskGroup(of: Void.self) { group in
      for service in services {
        group.addTask { await Self.loop(service, market) }
      }
    }
  }

  private static func loop(_ service: any MaintenanceService, _ market: Market) async {
    while !Task.isCancelled {
      do {
        while try await service.round(market) { try Task.checkCancellation() }
      } catch is CancellationError {
        return
      } catch {
        market.log.error(
          "maintenance failed; it is tried again",
          metadata: ["service": "\(type(of: service).name)", "error": "\(error)"])
      }
      guard (try? await market.clock.sleep(for: service.interval)) != nil else { return }
    }
  }
}
