import Clocks
import Marketplace
import Store

/// Removes files that are in a package too: what a stop between packing and removing left.
struct LooseCopies: MaintenanceService {
  static let name = "loose copies"
  let interval = Seconds(6 * 3600)
  /// Jobs looked up in one reading of the store.
  private static let step = 200

  func round(_ market: Market) async throws -> Bool {
    let jobs = try await market.blockingly { [files = market.files] in try files.jobsWithLooseFiles() }
    for start in stride(from: 0, to: jobs.count, by: Self.step) {
      try Task.checkCancellation()
      let part = jobs[start..<min(start + Self.step, jobs.count)]
      let packed = try await market.store.read { store in
        try part.compactMap { id in try store.package(of: id) == nil ? nil : try store.job(id) }
      }
      try await market.blockingly { [files = market.files] in
        for job in packed { try files.removeLooseCopies(of: job.id, lastTry: job.lastTry) }
      }
    }
    return false
  }
}
