import Clocks
import Logging
import Marketplace
import Store

/// Removes uploads that nobody has gone on with for a day.
struct UploadSweep: MaintenanceService {
  static let name = "uploads"
  let interval = Seconds(3600)
  /// How long a part waits for the rest.
  private static let patience = Seconds(86_400)

  func round(_ market: Market) async throws -> Bool {
    let limit = market.clock.now - Self.patience
    let removed = try await market.blockingly { [files = market.files] in try files.removeUploads(idleSince: limit) }
    if removed > 0 { market.log.info("removed idle uploads", metadata: ["count": "\(removed)"]) }
    return false
  }
}
