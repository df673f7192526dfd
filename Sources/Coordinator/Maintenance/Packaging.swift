import Logging
import Marketplace
import Store
import Synchronization

/// Packs jobs that ended while packing was not possible: a restart, a full disk.
final class Packaging: MaintenanceService {
  static let name = "packaging"
  let interval = Seconds(5)
  /// Jobs in one round.
  private static let step = 20
  /// Rounds until a job that could not be packed is tried again.
  private static let patience = 12
  /// How many are set aside at most; beyond, nothing more is packed until their time is over.
  private static let asideLimit = 1_000

  private let aside = Mutex<[JobID: Int]>([:])

  func round(_ market: Market) async throws -> Bool {
    let waiting = aside.withLock { aside in
      aside = aside.compactMapValues { $0 > 1 ? $0 - 1 : nil }
      return Set(aside.keys)
    }
    guard waiting.count < Self.asideLimit else { return false }
    let jobs = try await market.store.read { try $0.jobsToPackage(limit: Self.step + waiting.count) }
    for job in jobs where !waiting.contains(job) {
      do {
        _ = try await market.packages.package(of: job)
      } catch StoreError.closed {
        return false
      } catch {
        // One result that can't be packed must not keep the others waiting.
        market.log.error("can't pack a result", metadata: ["job": "\(job)", "error": "\(error)"])
        aside.withLock { $0[job] = Self.patience }
      }
    }
    return false
  }
}
