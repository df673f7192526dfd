import Logging
import Marketplace
import Wire

/// Takes jobs away from miners whose lease ran out.
struct LeaseExpiry: MaintenanceService {
  static let name = "lease expiry"
  /// Well under the 2 s after the lease within which a dead miner's job is available again.
  let interval = Seconds(milliseconds: 250)

  func round(_ market: Market) async throws -> Bool {
    for (lease, link) in market.dispatcher.overdueLeases() {
      market.log.warning(
        "lease ran out", metadata: ["job": "\(lease.job)", "try": "\(lease.tryNumber)", "miner": "\(lease.miner)"])
      if market.polling[lease.miner]?.hasTimedOut(lease.hash) == true {
        try await market.timeOut(lease)
      } else {
        try await market.lose(lease, reason: "the miner was not heard from for the length of its lease")
      }
      if let token = lease.token { link?.send(.leases(renewed: [:], lost: [token])) }
    }
    return false
  }
}
