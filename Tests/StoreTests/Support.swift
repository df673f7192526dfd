import Clocks
import Glibc
import JSON
import Logging
import Marketplace
import StoreInMemory
import Synchronization
import Testing
import TestRandomness

@testable import Store

/// A folder that is gone at the end of the test.
final class TemporaryFolder: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/store-test-XXXXXX".utf8CString)
    let made = template.withUnsafeMutableBufferPointer { buffer in
      buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
    }
    path = try #require(made)
  }

  deinit { try? FileTree.remove(path) }
}

/// Makes identifiers, accounts and jobs; every one is different.
final class Maker: Sendable {
  private let generator: Mutex<SeededGenerator>
  static let start = Timestamp(milliseconds: 1_770_000_000_000)

  init(seed: UInt64 = 1) { generator = Mutex(SeededGenerator(seed: seed)) }

  func id<Kind>(_: Kind.Type = Kind.self, at time: Timestamp = start) -> Identifier<Kind> {
    generator.withLock { Identifier<Kind>(at: time, using: &$0) }
  }

  func account(_ name: String = "default", plan: Plan = .free) -> Account {
    Account(id: id(), name: name, plan: plan, createdAt: Self.start)
  }

  func job(
    _ account: AccountID, at time: Timestamp = start, attempt: Int = 1,
    _ edit: (inout JobSpecification) -> Void = { _ in }
  ) -> Job {
    var specification = JobSpecification(runner: "noop")
    edit(&specification)
    return Job(id: id(at: time), account: account, specification: specification, createdAt: time, attempt: attempt)
  }

  func attempt(of job: Job, number: Int = 1, miner: MinerID, lease: String) -> TryRecord {
    TryRecord(job: job.id, number: number, miner: miner, leaseHash: lease, claimedAt: Self.start)
  }

  func miner(_ account: AccountID, instance: String = "instance") -> MinerRecord {
    MinerRecord(
      id: id(), instanceHash: instance, account: account, name: "m", version: "1.0",
      offer: MinerOffer(runners: ["noop"], slots: 2), registeredAt: Self.start, lastSeenAt: Self.start)
  }
}

/// One backend with an empty store, and a way to open the same one again.
struct Backend: Sendable, CustomTestStringConvertible {
  let name: String
  /// A new, empty store. The folder lives as long as the test.
  let make: @Sendable (TemporaryFolder, any MarketClock) throws -> any MarketStore

  var testDescription: String { name }

  static let sqlite = Backend(name: "SQLite") { folder, clock in
    try SQLiteStore.open(directory: folder.path, clock: clock, log: quiet)
  }
  static let memory = Backend(name: "memory") { _, clock in MemoryStore(clock: clock) }
  /// Every backend that the contract is held against.
  static let all = [sqlite, memory]

  static var quiet: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}

/// A store with one account in it.
struct Fixture: Sendable {
  let folder: TemporaryFolder
  let clock: ManualClock
  let store: any MarketStore
  let maker: Maker
  let account: Account

  init(_ backend: Backend = .sqlite, seed: UInt64 = 1) async throws {
    folder = try TemporaryFolder()
    clock = ManualClock(wall: Maker.start)
    store = try backend.make(folder, clock)
    maker = Maker(seed: seed)
    let account = maker.account()
    self.account = account
    try await store.write { try $0.save(account) }
  }

  /// Stores jobs, each with its first event.
  func insert(_ jobs: [Job]) async throws {
    try await store.write { market throws in
      for job in jobs {
        try market.insert(job)
        try market.append(JobEvent(of: job, at: job.createdAt))
      }
    }
  }
}

/// Runs a test with a new fixture and closes it.
func withFixture(
  _ backend: Backend = .sqlite, seed: UInt64 = 1, _ body: (Fixture) async throws -> Void
) async throws {
  let fixture = try await Fixture(backend, seed: seed)
  do { try await body(fixture) } catch {
    try await fixture.store.close()
    throw error
  }
  try await fixture.store.close()
}

/// What an operation throws when it changes its mind.
struct Refused: Error, Equatable {}

/// Stops the thread that waits at it until the test opens it.
final class Gate: Sendable {
  private let isOpen = Mutex(false)
  private let arrived = AsyncStream<Void>.makeStream()

  /// Blocks; for store threads only.
  func wait() {
    arrived.continuation.finish()
    while !isOpen.withLock({ $0 }) { sched_yield() }
  }

  /// Returns when somebody waits.
  func reached() async { for await _ in arrived.stream {} }

  func open() { isOpen.withLock { $0 = true } }
}
