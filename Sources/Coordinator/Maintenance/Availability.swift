import Clocks
import Marketplace
import Store

/// Lets jobs into the queue whose moment has come: `not_before`, and the wait between tries.
struct Availability: MaintenanceService {
  static let name = "availability"
  let interval = Seconds(milliseconds: 200)

  func round(_ market: Market) async throws -> Bool {
    let now = market.clock.now
    guard let next = try await market.store.read({ try $0.nextAvailable() }), next <= now else { return false }
    if try await market.store.write({ try $0.releaseAvailable(at: now) }) > 0 { market.dispatcher.wake() }
    return false
  }
}
