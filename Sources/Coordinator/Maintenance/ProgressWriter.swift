import Marketplace
import Store

/// Writes progress into the rows now and then, so that a restart does not forget it.
struct ProgressWriter: MaintenanceService {
  static let name = "progress"
  let interval = Seconds(2)

  func round(_ market: Market) async throws -> Bool {
    let reported = market.progress.takeDirty()
    guard !reported.isEmpty else { return false }
    try await market.store.write { transaction in
      for known in reported {
        guard var job = try transaction.job(known.id), job.lastTry == known.lastTry,
          job.report(progress: known.progress, message: known.progressMessage)
        else { continue }
        try transaction.update(job)
      }
    }
    return false
  }
}
