import Clocks
import Logging
import Marketplace
import Store

/// Adds up the ledger now and then, and raises the alarm when it does not sum to zero.
struct LedgerWatch: MaintenanceService {
  static let name = "ledger"
  let interval = Seconds(3600)

  func round(_ market: Market) async throws -> Bool {
    let report = try await market.store.read { try $0.checkLedger() }
    if !report.isBalanced {
      market.log.critical(
        "the ledger does not sum to zero: see `aitbc admin ledger check`",
        metadata: ["sum": "\(report.sum)", "jobs": "\(report.faults.count)"])
    }
    return false
  }
}
