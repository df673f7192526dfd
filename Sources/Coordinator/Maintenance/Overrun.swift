import Logging
import Marketplace
import Wire

/// Takes back leases of miners that do not start a job in time, or do not stop it: after its run time-out, or after a
/// cancel. The miner should have done it long before; renewing such a lease does not help.
struct Overrun: MaintenanceService {
  static let name = "overrun"
  let interval = Seconds(1)

  func round(_ market: Market) async throws -> Bool {
    for (lease, link) in market.dispatcher.revokeOverruns() {
      market.log.warning(
        "miner did not start or stop a job in time",
        metadata: ["job": "\(lease.job)", "try": "\(lease.tryNumber)", "miner": "\(lease.miner)"])
      if let token = lease.token { link?.send(.leases(renewed: [:], lost: [token])) }
    }
    return false
  }
}
