import Logging
import Marketplace
import Store

/// Keeps space back again once there is room, and lets jobs be placed then.
struct DiskWatch: MaintenanceService {
  static let name = "disk"
  let interval = Seconds(2)

  func round(_ market: Market) async throws -> Bool {
    guard let reserve = market.files.reserve, reserve.isSpent else { return false }
    guard try await market.blockingly({ reserve.refill() }) else { return false }
    market.log.notice("there is room on the disk again", metadata: ["reserve": "\(reserve.bytes)"])
    market.dispatcher.wake()
    return false
  }
}
