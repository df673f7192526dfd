import Clocks
import Marketplace
import Store

/// Ends pending jobs whose time to live is over.
struct QueueExpiry: MaintenanceService {
  static let name = "queue expiry"
  let interval = Seconds(milliseconds: 500)
  /// Jobs in one commit.
  private static let step = 500

  func round(_ market: Market) async throws -> Bool {
    let now = market.clock.now
    let isDue = try await market.store.read { try !$0.expiring(at: now, limit: 1).isEmpty }
    guard isDue else { return false }
    let expired = try await market.store.write { try ExpirySweep(now: now, limit: Self.step).run(in: $0) }
    return expired.count == Self.step
  }
}
