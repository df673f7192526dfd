import Clocks
import Cryptography
import Logging
import Marketplace
import Store

/// Removes inputs: first the row, then the file, then the note of the removal, all while nobody uploads the same.
struct BlobCollector {
  let market: Market

  /// Inputs looked up at once.
  private static let step = 100

  /// Removes what nobody needs, and goes on with removals that were cut off. Returns how many.
  func collect() async throws -> Int {
    var removed = 0
    for sha256 in try await market.store.read({ try $0.blobRemovals(limit: Self.step) }) {
      if try await remove(sha256, collecting: false) { removed += 1 }
    }
    while true {
      try Task.checkCancellation()
      let limit = market.clock.now - BlobCollection.grace
      let found = try await market.store.read { try $0.unneededBlobs(usedBefore: limit, limit: Self.step) }
      var count = 0
      for sha256 in found where try await remove(sha256, collecting: true) { count += 1 }
      removed += count
      // Those that stayed are being uploaded or can't be removed now; they come again.
      if found.count < Self.step || count == 0 { return removed }
    }
  }

  /// Removes files of blobs that have no row: uploads that a crash cut between name and row. Returns how many.
  func removeOrphans() async throws -> Int {
    guard try await market.store.read({ try $0.lastSequence() }) > 0 else { return 0 }
    let scan = try await market.blockingly { [files = market.files] in try files.blobNames() }
    var removed = 0
    while case let names = try await market.blockingly({ try scan.next(limit: 200) }), !names.isEmpty {
      try Task.checkCancellation()
      let unknown = try await market.store.read { store in try names.filter { try store.blob($0) == nil } }
      for sha256 in unknown where try await remove(sha256, collecting: false) { removed += 1 }
    }
    return removed
  }

  private func remove(_ sha256: String, collecting: Bool) async throws -> Bool {
    guard let digest = SHA256Digest(hex: sha256), market.blobGate.close(sha256) else { return false }
    defer { market.blobGate.open(sha256) }
    if collecting {
      let collection = BlobCollection(sha256: sha256, now: market.clock.now)
      guard try await market.store.write({ try collection.run(in: $0) }) else { return false }
    }
    // A blob that was uploaded again meanwhile keeps its file.
    let isBack = try await market.store.read { try $0.blob(sha256) != nil }
    if !isBack {
      do {
        try await market.blockingly { [files = market.files] in try files.removeBlob(digest) }
      } catch let error as FileStoreError {
        market.log.error("can't remove an input yet", metadata: ["sha256": "\(sha256)", "error": "\(error)"])
        return false
      }
    }
    try await market.store.write { try $0.removeBlobRemoval(sha256) }
    return !isBack
  }
}
