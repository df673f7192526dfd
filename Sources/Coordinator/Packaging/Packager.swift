import Clocks
import Cryptography
import JSON
import Logging
import Marketplace
import NIOCore
import NIOPosix
import ResultPackage
import Store

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

  /// Builds a package soon. A failure is logged; asking for the package tries again.
  nonisolated func prepare(_ job: JobID) {
    Task {
      do {
        _ = try await package(of: job)
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
    let (job, tries, artifacts) = try await store.read { store in
      guard let job = try store.job(id), job.state.isTerminal else { throw MarketError.jobNotFound }
      if let purged = job.resultPurgedAt { throw MarketError.resultsGone(purged) }
      return (job, try store.tries(of: id), try store.artifacts(of: id, tryNumber: job.lastTry))
    }
    let contents = PackageContents(job: job, tries: tries, artifacts: artifacts, files: files)
    let (key, trusted, log, now) = (signingKeys.active, signingKeys.all, log, clock.now)
    let record = try await threads.runIfActive {
      do {
        let summary = try contents.write(signedWith: key, log: log)
        return PackageRecord(job: id, size: Int64(summary.size), sha256: summary.sha256.hex, createdAt: now)
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
    await removeLooseCopies(of: job)
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

/// What goes into a job's package.
struct PackageContents {
  let job: Job
  let tries: [TryRecord]
  let artifacts: [ArtifactRecord]
  let files: FileStore

  /// Builds the package and puts it in its place. Blocks for as long as that takes.
  func write(signedWith key: Ed25519PrivateKey, log: Logger) throws -> PackageSummary {
    let entries = try entries()
    do {
      return try write(entries, tries.last?.signature?.manifestSignature, key)
    } catch PackageBuildError.badMinerSignature {
      // Checked when it came: then a file is not what the miner sent, which its digest would have told.
      log.error("a stored signature of a miner does not fit its files", metadata: ["job": "\(job.id)"])
      return try write(entries, nil, key)
    }
  }

  /// A whole package of the job that is there without its row. Throws ``FileStoreError/notFound`` when there is none.
  func existing(trusted: [Ed25519PublicKey], at now: Timestamp) throws -> PackageRecord {
    let report = try PackageVerifier(trustedKeys: trusted).verify(
      try StoredSource(files.readPackage(job.id)), expectedJobID: job.id.rawValue)
    guard report.isIntact else { throw StoreError.failed("the package of \(job.id) is damaged") }
    return PackageRecord(job: job.id, size: Int64(report.size), sha256: report.sha256.hex, createdAt: now)
  }

  private func write(
    _ entries: [PackageEntry], _ signature: ManifestSignature?, _ key: Ed25519PrivateKey
  ) throws -> PackageSummary {
    var summary: PackageSummary?
    try files.writePackage(job.id) { descriptor in
      let builder = try PackageBuilder(
        jobID: job.id.rawValue, signer: key, minerSignature: signature, threads: Self.threads)
      summary = try builder.build(entries, to: FileDescriptorSink(descriptor: descriptor))
    }
    guard let summary else { throw StoreError.failed("a package was not built") }
    return summary
  }

  /// Threads that compress one package: the cores, as far as memory allows (each holds some 2 MiB of pieces).
  private static let threads = min(System.coreCount, 8)

  func entries() throws -> [PackageEntry] {
    let output = OutputDocument.make(job: job, tries: tries, artifacts: artifacts).pretty + "\n"
    var entries = [
      PackageEntry(path: try ArtifactPath(validating: PackageLayout.output), source: .bytes(Array(output.utf8)))
    ]
    for stream in LogStream.allCases { entries.append(try log(stream, as: stream.packagePath)) }
    entries.append(try result())
    for artifact in artifacts where artifact.path != PackageLayout.result {
      entries.append(try entry(of: artifact, as: PackageLayout.artifact(artifact.path)))
    }
    return entries
  }

  private func entry(of artifact: ArtifactRecord, as path: String) throws -> PackageEntry {
    guard let digest = SHA256Digest(hex: artifact.sha256) else {
      throw StoreError.failed("a stored digest is damaged")
    }
    let file = try files.readArtifact(artifact.job, tryNumber: artifact.tryNumber, digest: digest)
    return PackageEntry(
      path: try ArtifactPath(validating: path),
      source: .file(path: file.path, offset: 0, length: UInt64(artifact.size)), knownDigest: digest)
  }

  /// The log of the last try, as long as its record says; a lost try's log is as long as its file.
  private func log(_ stream: LogStream, as path: String) throws -> PackageEntry {
    let name = try ArtifactPath(validating: path)
    guard job.lastTry > 0 else { return PackageEntry(path: name, source: .bytes([])) }
    let record = tries.last.flatMap { stream == .stdout ? $0.stdout : $0.stderr }
    let length = try record?.length ?? files.logLength(job.id, tryNumber: job.lastTry, stream: stream)
    guard length > 0 else { return PackageEntry(path: name, source: .bytes([])) }
    return PackageEntry(
      path: name,
      source: .file(
        path: try files.readLog(job.id, tryNumber: job.lastTry, stream: stream).path, offset: 0,
        length: UInt64(length)),
      knownDigest: record.flatMap { SHA256Digest(hex: $0.sha256) })
  }

  /// The main output: the file the job wrote under that name, else the result it gave, else its standard output.
  private func result() throws -> PackageEntry {
    if let artifact = artifacts.first(where: { $0.path == PackageLayout.result }) {
      return try entry(of: artifact, as: PackageLayout.result)
    }
    let path = try ArtifactPath(validating: PackageLayout.result)
    guard let result = job.result else { return try log(.stdout, as: PackageLayout.result) }
    // What a model said, without what it cost.
    let said = job.specification.runner == "inference" ? result["text"]?.string : nil
    return PackageEntry(path: path, source: .bytes(Array((result.string ?? said ?? result.pretty + "\n").utf8)))
  }
}
