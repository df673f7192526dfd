import Cryptography
import Glibc
import JSON
import Logging
import Marketplace
import NIOCore
import ResultPackage
import Store

/// What goes into a job's package.
struct PackageContents: Sendable {
  let job: Job
  private let tries: [TryRecord]
  /// In the order of their names. Kept in few bytes each: there may be a hundred thousand.
  private let artifacts: [ManifestEntry]
  private let files: FileStore

  /// Throws ``MarketError`` for a job that can't be packed.
  init(of id: JobID, in store: any MarketReader, files: FileStore) throws {
    guard let job = try store.job(id), job.state.isTerminal else { throw MarketError.jobNotFound }
    if let purged = job.resultPurgedAt { throw MarketError.resultsGone(purged) }
    self.job = job
    self.files = files
    tries = try store.tries(of: id)
    var artifacts: [ManifestEntry] = []
    try store.forEachArtifact(of: id, tryNumber: job.lastTry) { artifact in
      guard let digest = SHA256Digest(hex: artifact.sha256) else {
        throw StoreError.failed("a stored digest is damaged")
      }
      let path = try ArtifactPath(validating: PackageLayout.artifact(artifact.path))
      artifacts.append(ManifestEntry(path: path, size: UInt64(artifact.size), sha256: digest))
    }
    self.artifacts = artifacts
  }

  /// Builds the package and puts it in its place. Blocks for as long as that takes. Throws
  /// ``FileStoreError/notFound`` when a file that belongs into it is not there, and `OperationCanceled` soon after
  /// `shouldContinue` said no.
  func write(
    signedWith key: Ed25519PrivateKey, log: Logger, shouldContinue: @escaping ShouldContinue = { true }
  ) throws -> PackageSummary {
    let entries = try entries()
    do {
      return try write(entries, tries.last?.signature?.manifestSignature, key, shouldContinue)
    } catch PackageBuildError.badMinerSignature {
      // Checked when it came: then a file is not what the miner sent, which its digest would have told.
      log.error("a stored signature of a miner does not fit its files", metadata: ["job": "\(job.id)"])
      return try write(entries, nil, key, shouldContinue)
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
    _ entries: PackedEntries, _ signature: ManifestSignature?, _ key: Ed25519PrivateKey,
    _ shouldContinue: @escaping ShouldContinue
  ) throws -> PackageSummary {
    var summary: PackageSummary?
    do {
      try files.writePackage(job.id) { descriptor in
        let builder = try PackageBuilder(
          jobID: job.id.rawValue, signer: key, minerSignature: signature, threads: Self.threads)
        summary = try builder.build(
          entries, to: FileDescriptorSink(descriptor: descriptor), shouldContinue: shouldContinue)
      }
    } catch let error as FileError where error.code == ENOENT {
      throw FileStoreError.notFound
    }
    guard let summary else { throw StoreError.failed("a package was not built") }
    return summary
  }

  /// Threads that compress one package: the cores, as far as memory allows (each holds some 2 MiB of pieces).
  private static let threads = min(System.coreCount, 8)

  func entries() throws -> PackedEntries {
    let document = OutputDocument(job: job, tries: tries, artifacts: artifacts)
    var others = [PackageEntry(path: try ArtifactPath(validating: PackageLayout.output), source: document.source)]
    for stream in LogStream.allCases { others.append(try log(stream, as: stream.packagePath)) }
    if let result = try result() { others.append(result) }
    let folder = files.artifactFolder(job.id, tryNumber: job.lastTry)
    return PackedEntries(artifacts: artifacts, folder: folder, others: others)
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

  /// The main output: the result the job gave, else its standard output; nil when the job wrote a file under that name,
  /// which is among the artifacts.
  private func result() throws -> PackageEntry? {
    let path = try ArtifactPath(validating: PackageLayout.result)
    guard !artifacts.contains(where: { $0.path == path }) else { return nil }
    guard let result = job.result else { return try log(.stdout, as: PackageLayout.result) }
    // What a model said, without what it cost.
    let said = job.specification.runner == "inference" ? result["text"]?.string : nil
    return PackageEntry(path: path, source: .bytes(Array((result.string ?? said ?? result.pretty + "\n").utf8)))
  }
}

/// The entries of a package. Those of artifacts are made when they are asked for.
struct PackedEntries: RandomAccessCollection {
  let artifacts: [ManifestEntry]
  /// Where the artifacts lie, each under its digest.
  let folder: String
  let others: [PackageEntry]

  var startIndex: Int { 0 }
  var endIndex: Int { artifacts.count + others.count }

  subscript(index: Int) -> PackageEntry {
    guard index < artifacts.count else { return others[index - artifacts.count] }
    let artifact = artifacts[index]
    return PackageEntry(
      path: artifact.path, source: .named(digest: artifact.sha256, folder: folder, length: artifact.size))
  }
}
