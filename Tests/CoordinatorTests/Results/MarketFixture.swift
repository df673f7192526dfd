import Clocks
import Cryptography
import FoundationEssentials
import Glibc
import Logging
import Marketplace
import NIOPosix
import Store
import Synchronization
import Testing
import TestRandomness

@testable import Coordinator

/// A whole market without sockets: a store and files in a folder that is gone at the end, and a clock that stands still.
final class MarketFixture: Sendable {
  static let start = Timestamp(milliseconds: 1_770_000_000_000)

  let folder: String
  let clock: ManualClock
  let market: Market
  let store: SQLiteStore
  let account: Account
  private let blocking: NIOThreadPool

  /// Over the same folder it is the same market after a restart.
  private init(folder: String, clock: ManualClock) async throws {
    self.folder = folder
    self.clock = clock
    let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    store = try SQLiteStore.open(directory: folder, clock: clock, log: log)
    let files = try FileStore(directory: folder)
    blocking = NIOThreadPool(numberOfThreads: 2)
    blocking.start()
    var configuration = CoordinatorConfiguration()
    configuration.dataDirectory = folder
    configuration.diskFloor = 0
    market = Market(
      configuration: configuration, store: store, files: files, clock: clock, signingKeys: SigningKeys(try .generate()),
      hub: PushHub(source: TestSource(), clock: clock, lastSequence: 0), blocking: blocking, log: log)
    var random = SeededGenerator(seed: 1)
    let new = Account(
      id: AccountID(at: Self.start, using: &random), name: "default", plan: .free, createdAt: Self.start)
    account = try await store.read { try $0.account(named: "default") } ?? new
    let account = account
    try await store.write { try $0.save(account) }
  }

  static func run(_ body: (MarketFixture) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.path + "/market-test-" + Hex.encode(SecureRandom.bytes(8))
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let fixture = try await MarketFixture(folder: folder, clock: ManualClock(wall: start))
    do { try await body(fixture) } catch {
      try await fixture.close()
      throw error
    }
    try await fixture.close()
  }

  func close() async throws {
    try await store.close()
    try await blocking.shutdownGracefully()
  }

  /// What a new process would find; the old one is gone.
  func restarted<Value>(_ body: (MarketFixture) async throws -> Value) async throws -> Value {
    try await store.close()
    let next = try await MarketFixture(folder: folder, clock: clock)
    let value = try await body(next)
    try await next.close()
    return value
  }

  /// A job that ended (canceled before it ran) and left logs, two artifacts, a package and half an upload.
  func finishedJob(inputs: [String] = []) async throws -> Job {
    let id = market.newID(JobKind.self)
    var specification = JobSpecification(runner: "process", command: ["true"])
    specification.inputs = inputs.map { JobInputFile(path: "f" + $0.prefix(4), sha256: $0) }
    let submission = Submission(account: account.id, specification: specification, newID: id, now: clock.now)
    let end = Cancellation(job: id, account: account.id, reason: nil, grace: Seconds(1), now: clock.now)
    let files = market.files
    let digests = ["one", "two"].map { SHA256.hash($0.utf8) }
    try await store.write { store in
      _ = try submission.run(in: store)
      _ = try end.run(in: store)
      for (number, digest) in digests.enumerated() {
        try store.save(
          ArtifactRecord(job: id, tryNumber: 1, path: "file\(number)", size: 3, sha256: digest.hex))
      }
    }
    for stream in LogStream.allCases {
      _ = try files.openLog(id, tryNumber: 1, stream: stream).append(Array("log".utf8), at: 0)
    }
    for (text, digest) in zip(["one", "two"], digests) {
      let upload = try files.openArtifactUpload(id, tryNumber: 1, path: text, digest: digest)
      try upload.append(Array(text.utf8), at: 0)
      try upload.finish(expectedSize: 3, expectedSHA256: digest)
    }
    let half = try files.openArtifactUpload(id, tryNumber: 1, path: "half", digest: digests[0])
    try half.append(Array("o".utf8), at: 0)
    half.close()
    try files.writePackage(id) { _ = write($0, "zip", 3) }
    let package = PackageRecord(job: id, size: 3, sha256: digests[0].hex, createdAt: clock.now)
    return try await store.write { store in
      try store.save(package)
      guard let job = try store.job(id) else { throw MarketError.jobNotFound }
      return job
    }
  }

  /// Paths of all files below the market's folder that belong to a job, sorted.
  func paths(of job: JobID) -> [String] {
    let all = (try? FileManager.default.subpathsOfDirectory(atPath: folder)) ?? []
    return all.filter { path in
      var isFolder = false
      _ = FileManager.default.fileExists(atPath: folder + "/" + path, isDirectory: &isFolder)
      return path.contains(job.rawValue) && !isFolder
    }.map { folder + "/" + $0 }.sorted()
  }

  func stored(_ job: JobID) async throws -> Job { try #require(try await store.read { try $0.job(job) }) }
}
