import Marketplace
import Store

/// Packs jobs that ended while packing was not possible: a restart, a full disk.
struct Packaging: MaintenanceService {
  static let name = "packaging"
  let interval = Seconds(5)

  func round(_ market: Market) async throws -> Bool {
    for job in try await market.store.read({ try $0.jobsToPackage(limit: 20) }) {
      _ = try await market.packages.package(of: job)
    }
    return false
  }
}
