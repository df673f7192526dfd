import Clocks
import Cryptography
import JSON
import Logging
import Marketplace
import NIOPosix
import ResultPackage
import Store

/// Builds result packages, each once: right after a job ended, or when somebody asks first.
actor Packager {
  private let store: any MarketStore
  private let files: FileStore
  private let clock: any MarketClock
  private let signingKey: Ed25519PrivateKey
  private let blocking: NIOThreadPool
  private let log: Logger
  private var building: [JobID: Task<PackageRecord, any Error>] = [:]

  init(
    store: any MarketStore, files: FileStore, clock: any MarketClock, signingKey: Ed25519PrivateKey,
    blocking: NIOThreadPool, log: Logger
  ) {
    self.store = store
    self.files = files
    self.clock = clock
    self.signingKey = signingKey
    self.blocking = blocking
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

  private func build(_ id: JobID) async throws -> PackageRecord {
    // Built between the caller's look and now.
    if let record = try await store.read({ try $0.package(of: id) }) { return record }
    let (job, tries, artifacts) = try await store.read { store in
      guard let job = try store.job(id), job.state.isTerminal else { throw MarketError.jobNotFound }
      return (job, try store.tries(of: id), try store.artifacts(of: id, tryNumber: job.lastTry))
    }
    let (files, key) = (files, signingKey)
    let summary = try await blocking.runIfActive {
      let entries = try PackageContents(job: job, tries: tries, artifacts: artifacts, files: files).entries()
      var summary: PackageSummary?
      try files.writePackage(id) { descriptor in
        summary = try PackageBuilder(jobID: id.rawValue, signer: key, threads: 2)
          .build(entries, to: FileDescriptorSink(descriptor: descriptor))
      }
      guard let summary else { throw StoreError.failed("a package was not built") }
      return summary
    }
    let record = PackageRecord(
      job: id, size: Int64(summary.size), sha256: summary.sha256.hex,
      manifest: String(decoding: summary.manifest.canonicalBytes, as: UTF8.self),
      createdAt: clock.now)
    CrashPoint.packageRecord.reach(.before)
    try await store.write { try $0.save(record) }
    CrashPoint.packageRecord.reach(.after)
    return record
  }
}

/// What goes into a job's package.
struct PackageContents {
  let job: Job
  let tries: [TryRecord]
  let artifacts: [ArtifactRecord]
  let files: FileStore

  /// The artifact that stands as the package's `result.txt`.
  private static let resultName = "result.txt"

  func entries() throws -> [PackageEntry] {
    let output = OutputDocument.make(job: job, tries: tries, artifacts: artifacts).pretty + "\n"
    var entries = [PackageEntry(path: try ArtifactPath(validating: "output.json"), source: .bytes(Array(output.utf8)))]
    for stream in LogStream.allCases { entries.append(try log(stream, as: "logs/\(stream.rawValue).log")) }
    entries.append(try result())
    for artifact in artifacts where artifact.path != Self.resultName {
      entries.append(try entry(of: artifact, as: "artifacts/" + artifact.path))
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
    if let artifact = artifacts.first(where: { $0.path == Self.resultName }) {
      return try entry(of: artifact, as: Self.resultName)
    }
    let path = try ArtifactPath(validating: Self.resultName)
    guard let result = job.result else { return try log(.stdout, as: Self.resultName) }
    return PackageEntry(path: path, source: .bytes(Array((result.string ?? result.pretty + "\n").utf8)))
  }
}
