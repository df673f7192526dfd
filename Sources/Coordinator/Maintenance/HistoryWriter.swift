import Marketplace
import Store

/// Writes down how long jobs take, so that estimates outlive a restart.
struct HistoryWriter: MaintenanceService {
  static let name = "history"
  let interval = Seconds(10)

  func round(_ market: Market) async throws -> Bool {
    let changed = market.history.takeChanged()
    guard !changed.isEmpty else { return false }
    try await market.store.write { store in
      for runTime in changed { try store.save(runTime) }
    }
    return false
  }
}
