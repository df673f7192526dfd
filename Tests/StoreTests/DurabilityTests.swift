import Clocks
import GRDB
import Glibc
import Marketplace
import Testing

@testable import Store

/// What only a database on a disk can show: restarts, versions, locks, a full disk.
@Suite struct DurabilityTests {
  private static func open(
    _ folder: TemporaryFolder, _ configuration: StoreConfiguration = StoreConfiguration()
  ) throws -> SQLiteStore {
    try SQLiteStore.open(
      directory: folder.path, clock: ManualClock(wall: Maker.start), log: Backend.quiet, configuration: configuration)
  }

  @Test func everythingIsThereAfterARestart() async throws {
    let folder = try TemporaryFolder()
    let maker = Maker()
    let account = maker.account()
    let jobs = (0..<20).map { maker.job(account.id, at: Maker.start + Seconds(Int64($0))) }
    let first = try Self.open(folder)
    try await first.write { market throws in
      try market.save(account)
      for job in jobs {
        try market.insert(job)
        try market.append(JobEvent(of: job, at: job.createdAt))
      }
      try market.setVirtualTime(42)
    }
    let epoch = first.epoch
    #expect(epoch.count == 32)
    try await first.close()
    // Closing empties the log into the database.
    #expect(FileSize.of(folder.path + "/market.db-wal") == 0)

    let second = try Self.open(folder)
    #expect(second.epoch == epoch)
    try await second.read { market throws in
      #expect(try market.jobs(JobQuery(account: account.id)).jobs.map(\.id) == jobs.reversed().map(\.id))
      #expect(try market.counts() == [.pending: 20])
      #expect(try market.virtualTime() == 42)
      #expect(try market.lastSequence() == 20)
    }
    // The writer's memory goes on where it stopped.
    let job = maker.job(account.id)
    let sequence = try await second.write { market throws in
      #expect(try market.virtualTime() == 42)
      #expect(try market.pendingCount(account: account.id) == 20)
      try market.insert(job)
      return try market.append(JobEvent(of: job, at: Maker.start))
    }
    #expect(sequence == 21)
    try await second.close()
  }

  /// What a killed process leaves is what is in its files when the answer comes: a copy of them taken then must hold
  /// every write that was answered.
  @Test func whatWasAnsweredIsInTheFiles() async throws {
    let folder = try TemporaryFolder()
    let maker = Maker()
    let account = maker.account()
    let store = try Self.open(folder)
    try await store.write { try $0.save(account) }
    var known: [JobID] = []
    for _ in 0..<5 {
      let job = maker.job(account.id)
      try await store.write { market in
        try market.insert(job)
        try market.append(JobEvent(of: job, at: Maker.start))
      }
      known.append(job.id)
      let copy = try TemporaryFolder()
      for name in ["market.db", "market.db-wal"] {
        try Self.copy(folder.path + "/" + name, to: copy.path + "/" + name)
      }
      let killed = try Self.open(copy)
      #expect(killed.epoch == store.epoch)
      let (events, counts) = try await killed.read { market in
        (try market.events(after: 0, account: nil, job: nil, limit: 10), try market.counts())
      }
      #expect(events.map(\.job) == known)
      #expect(counts == [.pending: known.count])
      try await killed.close()
    }
    try await store.close()
  }

  private static func copy(_ path: String, to target: String) throws {
    let source = try StoredFile(path: path)
    let bytes = try source.read(offset: 0, count: 1 << 24)
    let descriptor = try POSIXFile.open(target, O_WRONLY | O_CREAT | O_EXCL)
    defer { close(descriptor) }
    #expect(bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) } == bytes.count)
  }

  @Test func anotherDatabaseHasAnotherEpoch() async throws {
    let folders = [try TemporaryFolder(), try TemporaryFolder()]
    let stores = try folders.map { try Self.open($0) }
    #expect(stores[0].epoch != stores[1].epoch)
    for store in stores { try await store.close() }
  }

  @Test func commitsWaitForTheDisk() async throws {
    let folder = try TemporaryFolder()
    let store = try Self.open(folder)
    let (mode, synchronous, secure) = try await store.write { market throws in
      let connection = try #require(market as? SQLiteSession).connection
      return (
        try connection.first(SQL("PRAGMA journal_mode")) { $0.text(0) },
        try connection.first(SQL("PRAGMA synchronous")) { $0.int(0) },
        try connection.first(SQL("PRAGMA secure_delete")) { $0.int(0) }
      )
    }
    #expect(mode == "wal")
    // FULL. GRDB's pools set NORMAL in this mode, which loses the last commits in a power cut.
    #expect(synchronous == 2)
    #expect(secure == 0)
    try await store.close()
  }

  @Test func aReaderCanNotWrite() async throws {
    let folder = try TemporaryFolder()
    let store = try Self.open(folder)
    await #expect(throws: StoreError.self) {
      try await store.read { market throws in
        let session = try #require(market as? SQLiteSession)
        try session.connection.execute(SQL("DELETE FROM accounts"))
      }
    }
    await #expect(throws: StoreError.self) {
      try await store.read { market in try #require(market as? SQLiteSession).setVirtualTime(1) }
    }
    try await store.close()
  }

  @Test func aNewerDatabaseIsLeftAlone() async throws {
    let folder = try TemporaryFolder()
    try await Self.open(folder).close()
    let queue = try DatabaseQueue(path: folder.path + "/market.db")
    try await queue.write { try $0.execute(sql: "PRAGMA user_version = \(Schema.version + 1)") }
    try queue.close()
    #expect(throws: StoreError.newerVersion(found: Schema.version + 1, known: Schema.version)) {
      try Self.open(folder)
    }
    // Refused, not locked or changed: with the version put back it opens.
    let again = try DatabaseQueue(path: folder.path + "/market.db")
    try await again.write { try $0.execute(sql: "PRAGMA user_version = \(Schema.version)") }
    try again.close()
    try await Self.open(folder).close()
  }

  @Test func aDirectoryHasOneOwner() async throws {
    let folder = try TemporaryFolder()
    let store = try Self.open(folder)
    let expected = DataDirectoryInUse(directory: folder.path, process: getpid())
    #expect(throws: expected) { try Self.open(folder) }
    #expect(expected.description.contains("process \(getpid())"))
    try await store.close()
    try await Self.open(folder).close()
  }

  @Test func notADatabase() async throws {
    let folder = try TemporaryFolder()
    let file = try #require(fopen(folder.path + "/market.db", "w"))
    fputs(String(repeating: "A", count: 8192), file)
    fclose(file)
    #expect(throws: StoreError.self) { try Self.open(folder) }
  }

  /// SQLite's page limit stands for the disk: the same SQLITE_FULL comes out of it.
  @Test func aFullDiskStopsWritesOnly() async throws {
    let folder = try TemporaryFolder()
    let store = try Self.open(folder)
    let maker = Maker()
    let account = maker.account()
    let kept = maker.job(account.id)
    try await store.write { market throws in
      try market.save(account)
      try market.insert(kept)
      try market.append(JobEvent(of: kept, at: Maker.start))
    }
    try await Self.setPageLimit("(SELECT page_count FROM pragma_page_count)", store)
    let big = maker.job(account.id) { $0.name = String(repeating: "x", count: 1 << 20) }
    for _ in 0..<3 {
      await #expect(throws: StoreError.diskFull) {
        try await store.write { market throws in
          try market.insert(big)
          try market.append(JobEvent(of: big, at: Maker.start))
        }
      }
      // Swallowing it does not help.
      await #expect(throws: StoreError.diskFull) {
        try await store.write { market throws in
          try? market.insert(big)
          try? market.setVirtualTime(5)
        }
      }
    }
    try await store.read { market throws in
      #expect(try market.job(kept.id) == kept)
      #expect(try market.counts() == [.pending: 1])
      #expect(try market.lastSequence() == 1)
      #expect(try market.virtualTime() == 0)
    }
    try await Self.setPageLimit("1000000", store)
    let sequence = try await store.write { market throws in
      try market.insert(big)
      return try market.append(JobEvent(of: big, at: Maker.start))
    }
    #expect(sequence == 2)
    #expect(try await store.read { try $0.counts() } == [.pending: 2])
    try await store.close()
  }

  private static func setPageLimit(_ value: String, _ store: SQLiteStore) async throws {
    try await store.write { market throws in
      let connection = try #require(market as? SQLiteSession).connection
      let limit = try connection.first(SQL("SELECT \(value)")) { $0.int(0) } ?? 0
      _ = try connection.first(SQL("PRAGMA max_page_count = \(limit)")) { $0.int(0) }
    }
  }

  /// A failure of the commit itself, when all operations have succeeded: a deferred constraint is looked at only then.
  @Test func aFailedCommitAnswersNobodyWithSuccess() async throws {
    let folder = try TemporaryFolder()
    let store = try Self.open(folder)
    let maker = Maker()
    let account = maker.account()
    try await store.write { market throws in
      try market.save(account)
      try #require(market as? SQLiteSession).connection.execute(
        SQL("CREATE TABLE late (x INTEGER REFERENCES market (id) DEFERRABLE INITIALLY DEFERRED)"))
    }
    let job = maker.job(account.id)
    await #expect(throws: StoreError.self) {
      try await store.write { market throws in
        try market.insert(job)
        try market.append(JobEvent(of: job, at: Maker.start))
        try market.setVirtualTime(9)
        try #require(market as? SQLiteSession).connection.execute(SQL("INSERT INTO late VALUES (77)"))
      }
    }
    let published = try await store.write { market throws in
      #expect(try market.job(job.id) == nil)
      #expect(try market.pendingCount(account: account.id) == 0)
      #expect(try market.virtualTime() == 0)
      try market.insert(job)
      return try market.append(JobEvent(of: job, at: Maker.start))
    }
    #expect(published == 1)
    try await store.close()
  }

  @Test func aFullQueueIsBusy() async throws {
    let folder = try TemporaryFolder()
    var configuration = StoreConfiguration()
    configuration.writeQueueLimit = 3
    let store = try Self.open(folder, configuration)
    let gate = Gate()
    async let blocker: Void = store.write { _ in gate.wait() }
    await gate.reached()
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for _ in 0..<5 {
        group.addTask {
          do {
            try await store.write { _ in }
            return true
          } catch StoreError.busy {
            return false
          }
        }
      }
      // Three fit, two are told at once.
      #expect(try await group.next() == false)
      #expect(try await group.next() == false)
      gate.open()
      for try await isDone in group { #expect(isDone) }
    }
    try await blocker
    try await store.close()
  }
}
