import Clocks
import Logging
import Marketplace
import Store

/// Removes results in the three steps of `MarkPurged`.
struct Purger {
  let market: Market

  /// Jobs that one transaction marks.
  static let step = 50

  /// Takes the last two steps for jobs that are marked. Returns those whose files could not be removed: they stay on
  /// the list, and the retention service tries again.
  func finish(_ jobs: [JobID]) async throws -> Set<JobID> {
    var failed: Set<JobID> = []
    for job in jobs {
      do {
        await market.packages.settled(job)
        try await market.blockingly { [files = market.files] in try files.removeFiles(of: job) }
      } catch let error as FileStoreError {
        market.log.error("can't remove a result's files yet", metadata: ["job": "\(job)", "error": "\(error)"])
        failed.insert(job)
      }
    }
    var left = jobs.filter { !failed.contains($0) }
    while !left.isEmpty {
      left = try await market.store.write { [left] store in
        try left.filter { try !ForgetPurged(job: $0).run(in: store) }
      }
    }
    return failed
  }

  /// Removes some jobs' results at once; from the first moment on they are gone for everybody.
  func purge(_ jobs: [JobID], of account: AccountID) async throws -> (purged: [Job], failed: Set<JobID>) {
    let mark = MarkPurged(jobs: jobs, account: account, now: market.clock.now)
    let purged = try await market.store.write { try mark.run(in: $0) }
    return (purged, try await finish(purged.map(\.id)))
  }

  /// Removes what is on disk for jobs that are unknown, or whose results were wholly removed before: what a power cut
  /// brought back, or a crash left behind. Returns for how many.
  func removeOrphans() async throws -> Int {
    // A new database beside old files is somebody's mistake; those files may be all that is left.
    guard try await market.store.read({ try $0.lastSequence() }) > 0 else { return 0 }
    let scan = try await market.blockingly { [files = market.files] in try files.jobNames() }
    var removed = 0
    while case let names = try await market.blockingly({ try scan.next(limit: 200) }), !names.isEmpty {
      try Task.checkCancellation()
      let jobs = Set(names.compactMap(FileStore.job(ofName:)))
      let orphans = try await market.store.read { store in
        try jobs.filter { id in
          guard let job = try store.job(id) else { return true }
          return try job.resultPurgedAt != nil && !store.isPurging(id)
        }
      }
      removed += orphans.count
      _ = try await finish(orphans.sorted())
    }
    return removed
  }
}

extension Market {
  /// Opens a file of a result. When it was removed since the caller looked, that is said (410).
  func resultFile<Value: Sendable>(
    of job: JobID, _ open: @escaping @Sendable (FileStore) throws -> Value
  ) async throws -> Value {
    try await whileHere(job) { try await blockingly { [files] in try open(files) } }
  }

  /// Reads a job's results. When they were removed since the caller looked, that is said (410).
  func whileHere<Value: Sendable>(
    _ job: JobID, _ read: @Sendable () async throws -> Value
  ) async throws -> Value {
    do {
      return try await read()
    } catch FileStoreError.notFound {
      let now = clock.now
      if let gone = try await store.read({ try $0.job(job)?.resultsGone(at: now) }) {
        throw MarketError.resultsGone(gone)
      }
      throw FileStoreError.notFound
    }
  }
}
