import Clocks
import Cryptography
import Foundation
import Logging
import Marketplace
import Synchronization
import Testing

@testable import Coordinator
@testable import Store

/// A finished job with logs and artifacts in files of their own, in a data directory, and all that packs it.
final class PackedJob: Sendable {
  static let start = Timestamp(milliseconds: 1_770_000_000_000)
  static let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  let folder: String
  let store: SQLiteStore
  let files: FileStore
  let keys: SigningKeys
  let job: Job
  /// What the job left, by path.
  let artifacts: [String: [UInt8]]
  let stdout: [UInt8]

  static func with(
    _ artifacts: [String: [UInt8]], stdout: [UInt8] = Array("out\n".utf8), _ body: (PackedJob) async throws -> Void
  ) async throws {
    let folder = "/tmp/packed-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let packed = try await PackedJob(folder, artifacts, stdout)
    do {
      try await body(packed)
    } catch {
      try await packed.store.close()
      throw error
    }
    try await packed.store.close()
  }

  private init(_ folder: String, _ artifacts: [String: [UInt8]], _ stdout: [UInt8]) async throws {
    self.folder = folder
    self.artifacts = artifacts
    self.stdout = stdout
    store = try SQLiteStore.open(directory: folder, clock: ManualClock(wall: Self.start), log: Self.log)
    files = try FileStore(directory: folder)
    keys = SigningKeys(try .generate())
    var random = SystemRandomNumberGenerator()
    let account = Account(id: .init(at: Self.start, using: &random), name: "a", plan: .free, createdAt: Self.start)
    let miner = MinerID(at: Self.start, using: &random)
    var job = Job(
      id: .init(at: Self.start, using: &random), account: account.id, specification: JobSpecification(runner: "noop"),
      createdAt: Self.start, attempt: 1)
    let pending = job
    try job.claim(by: miner, at: Self.start)
    try job.start(at: Self.start)
    try job.end(.completed(exitCode: 0, result: nil), backoff: Seconds(1), at: Self.start)
    self.job = job
    let log = try files.openLog(job.id, tryNumber: 1, stream: .stdout)
    _ = try log.append(stdout, at: 0)
    try log.sync()
    var attempt = TryRecord(job: job.id, number: 1, miner: miner, leaseHash: "h", claimedAt: Self.start)
    attempt.state = .completed
    attempt.stdout = LogRecord(length: Int64(stdout.count), sha256: SHA256.hash(stdout).hex)
    attempt.stderr = LogRecord(length: 0, sha256: SHA256.hash([]).hex)
    var records: [ArtifactRecord] = []
    for (path, bytes) in artifacts {
      let digest = SHA256.hash(bytes)
      let upload = try files.openArtifactUpload(job.id, tryNumber: 1, path: path, digest: digest)
      try upload.append(bytes, at: 0)
      try upload.finish(expectedSize: Int64(bytes.count), expectedSHA256: digest)
      records.append(
        ArtifactRecord(job: job.id, tryNumber: 1, path: path, size: Int64(bytes.count), sha256: digest.hex))
    }
    let (ended, ofTry, arrived) = (job, attempt, records)
    try await store.write { market in
      try market.save(account)
      try market.insert(pending)
      try market.insert(ofTry)
      for record in arrived { try market.save(record) }
      try market.update(ended)
    }
  }

  func packager(_ store: (any MarketStore)? = nil) -> Packager {
    Packager(
      store: store ?? self.store, files: files, clock: ManualClock(wall: Self.start), signingKeys: keys, log: Self.log)
  }

  /// Files of the job that lie by themselves.
  var loose: [String] {
    ["logs", "artifacts"].flatMap { top in
      FileManager.default.enumerator(atPath: folder + "/" + top)?.compactMap { $0 as? String }.map { top + "/" + $0 }
        ?? []
    }
    .filter { !POSIXFile.isDirectory(folder + "/" + $0) }
  }

  var packagePath: String { files.packagePath(job.id) }
}
