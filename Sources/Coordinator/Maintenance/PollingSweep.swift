import Clocks
import Marketplace
import Store

/// Takes miners offline that speak REST and have not been heard for the length of their leases.
struct PollingSweep: MaintenanceService {
  static let name = "polling miners"
  let interval = Seconds(1)

  func round(_ market: Market) async throws -> Bool {
    let term = market.configuration.restLeaseTerm
    let now = market.clock.monotonic
    guard now.milliseconds > term.milliseconds else { return false }
    let silent = market.polling.takeSilent(since: MonotonicTime(milliseconds: now.milliseconds - term.milliseconds))
    guard !silent.isEmpty else { return false }
    for (id, connection) in silent { market.dispatcher.disconnect(id, connection: connection) }
    let wall = market.clock.now
    try await market.store.write { store in
      for (id, _) in silent {
        guard var record = try store.miner(id) else { continue }
        record.lastSeenAt = wall - term
        try store.save(record)
      }
    }
    return false
  }
}
