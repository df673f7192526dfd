import Clocks
import Marketplace
import Store

/// Forgets the answers of idempotency keys after their time.
struct IdempotencyCleanup: MaintenanceService {
  static let name = "idempotency"
  let interval = Seconds(600)
  private static let step = 1_000

  func round(_ market: Market) async throws -> Bool {
    let limit = market.clock.now - market.configuration.idempotencyTerm
    return try await market.store.write { try $0.removeIdempotency(before: limit, limit: Self.step) } == Self.step
  }
}
