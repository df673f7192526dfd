import Clocks
import Logging
import Marketplace
import Store

/// Removes results whose time is over, and goes on with removals that were cut off. Before that it gives the results
/// of accounts with a better plan their longer time.
struct Retention: MaintenanceService {
  static let name = "retention"
  /// Who reads is told 410 at the very moment; this is how much later the disk is freed.
  let interval = Seconds(30)

  func round(_ market: Market) async throws -> Bool {
    let purger = Purger(market: market)
    while try await extend(market) { try Task.checkCancellation() }
    var last: JobID?
    while case let left = try await market.store.read({ [last] in try $0.purging(after: last, limit: Purger.step) }),
      !left.isEmpty
    {
      try Task.checkCancellation()
      _ = try await purger.finish(left)
      last = left.last
    }
    let now = market.clock.now
    guard try await market.store.read({ try !$0.retentionDue(at: now, limit: 1).isEmpty }) else { return false }
    let due = try await market.store.write { try RetentionSweep(now: now, limit: Purger.step).run(in: $0) }
    _ = try await purger.finish(due.map(\.id))
    market.log.info("removed results whose time is over", metadata: ["jobs": "\(due.count)"])
    return due.count == Purger.step
  }

  private func extend(_ market: Market) async throws -> Bool {
    guard try await market.store.read({ try $0.nextExtension() }) != nil else { return false }
    let step = ExtendRetention(now: market.clock.now)
    return try await market.store.write { try step.run(in: $0) }
  }
}

/// Removes, at the start and once a day, files that no row stands for.
struct OrphanSweep: MaintenanceService {
  static let name = "orphans"
  let interval = Seconds(86_400)

  func round(_ market: Market) async throws -> Bool {
    let jobs = try await Purger(market: market).removeOrphans()
    let blobs = try await BlobCollector(market: market).removeOrphans()
    if jobs + blobs > 0 {
      market.log.notice("removed files nobody knows", metadata: ["jobs": "\(jobs)", "inputs": "\(blobs)"])
    }
    return false
  }
}

/// Removes inputs that nobody needs any more.
struct BlobCleanup: MaintenanceService {
  static let name = "inputs"
  let interval = Seconds(600)

  func round(_ market: Market) async throws -> Bool {
    let count = try await BlobCollector(market: market).collect()
    if count > 0 { market.log.info("removed inputs nobody needs", metadata: ["count": "\(count)"]) }
    return false
  }
}
