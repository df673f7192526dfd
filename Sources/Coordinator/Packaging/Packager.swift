import Clocks
import Cryptography
import Logging
import Marketplace
import NIOPosix
import ResultPackage
import Store
import Synchronization

/// Builds result packages, each once: right after a job ended, or when somebody asks first.
///
/// When a package is on disk and recorded, it is the only copy: the files it was made of are removed. Who has one of
/// them open reads on.
actor Packager {
  private let store: any MarketStore
  private let files: FileStore
  private let clock: any MarketClock
  private let signingKeys: SigningKeys
  /// Packing takes as long as the result is large; requests must not wait for its threads.
  private let threads = NIOThreadPool.singleton
  private let log: Logger
  private var building: [JobID: Task<PackageRecord, any Error>] = [:]
  private let isStopped = Atomic(false)

  init(store: any MarketStore, files: FileStore, clock: any MarketClock, signingKeys: SigningKeys, log: Logger) {
    self.store = store
    self.files = files
    self.clock = clock
    self.signingKeys = signingKeys
    self.log = log
  }

  /// The package of a job that has ended; built now when it is not there. Who asks meanwhile waits for the same.
  func package(of job: JobID) async throws -> PackageRecord {
    if let record = try await store.read({ try $0.package(of: job) }) { return record }
    if let task = building[job] { return try await task.value }
    let task = Task { try await build(job) }
    building[job] = task
    defer { building[job] = nil }
    return try await task.value
  }

  /// Builds under way end soon, and none begins: who waits for one gets ``StoreError/closed``. The next start builds them.
  nonisolated func stop() { isStopped.store(true, ordering: .relaxed) }

  /// Builds a package soon. A failure is logged; asking for the package tries again.
  nonisolated func prepare(_ job: JobID) {
    Task {
      do {
        _ = try await package(of: job)
      } catch StoreError.closed {
        // The next start does it.
      } catch {
        log.error("can't pack a result yet", metadata: ["job": "\(job)", "error": "\(error)"])
      }
    }
  }

  /// Returns when nobody builds the job's package: what a build wrote can then be removed. Once the job's row says that
  /// its results are gone, no build begins.
  func settled(_ job: JobID) async { _ = await building[job]?.result }

  private func build(_ id: JobID) async throws -> PackageRecord {
    // Built between the caller's look and now.
    if let record = try await store.read({ try $0.package(of: id) }) { return record }
    let contents = try await store.read { [files] store in
      try PackageContents(of: id, in: store, files: files)
    }
    let (key, trusted, log, now) = (signingKeys.active, signingKeys.all, log, clock.now)
    let record = try await threads.runIfActive {
      do {
        let summary = try contents.write(signedWith: key, log: log) { !self.isStopped.load(ordering: .relaxed) }
        return PackageRecord(job: id, size: Int64(summary.size), sha256: summary.sha256.hex, createdAt: now)
      } catch is OperationCanceled {
        throw StoreError.closed
      } catch FileStoreError.notFound {
        // An older database beside newer files: the package was built already.
        return try contents.existing(trusted: trusted, at: now)
      }
    }
    CrashPoint.packageRecord.reach(.before)
    try await store.write { market in
      if let purged = try market.job(id)?.resultPurgedAt { throw MarketError.resultsGone(purged) }
      try market.save(record)
    }
    CrashPoint.packageRecord.reach(.after)
    await removeLooseCopies(of: contents.job)
    return record
  }

  /// Frees what is in the package now. When it can't be done, `LooseCopies` does it later.
  private func removeLooseCopies(of job: Job) async {
    let (id, lastTry) = (job.id, job.lastTry)
    do {
      try await threads.runIfActive { [files] in try files.removeLooseCopies(of: id, lastTry: lastTry) }
    } catch {
      log.warning("can't remove what was packed", metadata: ["job": "\(id)", "error": "\(error)"])
    }
  }
}
