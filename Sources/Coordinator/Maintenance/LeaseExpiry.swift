import Instruments
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
      let isOver = market.polling[lease.miner]?.hasTimedOut(lease.hash) == true
      if isOver || (lease.isRevoked && lease.stop?.reason == .timeout) {
        try await market.timeOut(lease)
      } else {
        try await market.lose(lease, reason: Self.reason(lease))
      }
      market.metrics.leases.expired.add()
      if let token = lease.token { link?.send(.leases(renewed: [:], lost: [token])) }
    }
    return false
  }

  private static func reason(_ lease: LeaseTable.Lease) -> String {
    guard lease.isRevoked else { return "the miner was not heard from for the length of its lease" }
    return lease.stop?.reason == .start
      ? "the miner did not start it in time" : "the miner did not stop it when it was told to"
  }
}
