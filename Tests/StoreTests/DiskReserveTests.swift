import Clocks
import Cryptography
import Glibc
import Marketplace
import Testing

@testable import Store

/// Space kept back for the end of what runs. The whole way, on a full file system, stands in Tests/EndToEnd/test_disk.
@Suite struct DiskReserveTests {
  private static let size: Int64 = 1 << 20

  private static func allocated(_ path: String) -> Int64? {
    var status = stat()
    return stat(path, &status) == 0 ? Int64(status.st_blocks) * 512 : nil
  }

  @Test func itsBytesAreTakenGivenUpOnceAndTakenAgain() throws {
    let folder = try TemporaryFolder()
    let file = folder.path + "/reserve"
    let reserve = DiskReserve(directory: folder.path, bytes: Self.size)
    #expect(reserve.isSpent && Self.allocated(file) == nil)
    reserve.open()
    #expect(!reserve.isSpent && Self.allocated(file) == Self.size)
    #expect(!reserve.refill())
    #expect(reserve.spend())
    #expect(reserve.isSpent && Self.allocated(file) == nil)
    #expect(!reserve.spend())
    #expect(reserve.refill())
    #expect(!reserve.isSpent && Self.allocated(file) == Self.size)
    // The next process takes it over, also with another size.
    let next = DiskReserve(directory: folder.path, bytes: Self.size / 2)
    next.open()
    #expect(Self.allocated(file) == Self.size / 2)
    DiskReserve(directory: folder.path, bytes: 0).open()
    #expect(Self.allocated(file) == nil)
  }

  @Test func noneIsNeverSpent() throws {
    let folder = try TemporaryFolder()
    let reserve = DiskReserve(directory: folder.path, bytes: 0)
    reserve.open()
    #expect(!reserve.isSpent && !reserve.spend() && !reserve.refill() && reserve.hasRoomForLogs)
  }

  @Test func oneThatFindsNoRoomBeginsSpent() throws {
    let folder = try TemporaryFolder()
    let reserve = DiskReserve(directory: folder.path, bytes: Int64.max / 4)
    reserve.open()
    #expect(reserve.isSpent && !reserve.hasRoomForLogs && !reserve.refill())
    #expect(Self.allocated(folder.path + "/reserve") == nil)
  }

  @Test func whileItIsSpentTheBulkIsRefused() throws {
    let folder = try TemporaryFolder()
    let reserve = DiskReserve(directory: folder.path, bytes: Self.size)
    reserve.open()
    let files = try FileStore(directory: folder.path, reserve: reserve)
    let maker = Maker()
    let (job, account): (JobID, AccountID) = (maker.id(), maker.id())
    let digest = SHA256.hash("ab".utf8)
    let upload = try files.openBlobUpload(digest, account: account)
    try upload.append([97], at: 0)
    let log = try files.openLog(job, tryNumber: 1, stream: .stdout)
    #expect(reserve.spend())
    #expect(throws: FileStoreError.diskFull) { try upload.append([98], at: 1) }
    #expect(throws: FileStoreError.diskFull) { try files.writePackage(job) { _ in } }
    // There is room behind it, so the last words of a job are kept.
    #expect(try log.append([1], at: 0) == .appended(length: 1))
    #expect(reserve.refill())
    try upload.append([98], at: 1)
    try upload.finish(expectedSize: 2, expectedSHA256: digest)
    try files.writePackage(job) { _ in }
  }

  @Test func logsHaveAShareOfIt() throws {
    let folder = try TemporaryFolder()
    let reserve = DiskReserve(directory: folder.path, bytes: Int64.max / 4)
    reserve.open()
    let files = try FileStore(directory: folder.path, reserve: reserve)
    let log = try files.openLog(Maker().id(), tryNumber: 1, stream: .stdout)
    #expect(throws: FileStoreError.diskFull) { try log.append([1], at: 0) }
    #expect(log.length == 0)
  }

  /// SQLite's page limit stands for the disk; it is not helped by the reserve, so the second attempt fails too.
  @Test func aCommitThatFindsNoRoomSpendsItOnce() async throws {
    let folder = try TemporaryFolder()
    let reserve = DiskReserve(directory: folder.path, bytes: Self.size)
    let store = try SQLiteStore.open(
      directory: folder.path, clock: ManualClock(wall: Maker.start), log: Backend.quiet, reserve: reserve)
    reserve.open()
    let maker = Maker()
    let account = maker.account()
    try await store.write { try $0.save(account) }
    try await Self.setPageLimit("(SELECT page_count FROM pragma_page_count)", store)
    let big = maker.job(account.id) { $0.name = String(repeating: "x", count: 1 << 20) }
    await #expect(throws: StoreError.diskFull) { try await store.write { try $0.insert(big) } }
    #expect(reserve.isSpent)
    try await Self.setPageLimit("1000000", store)
    try await store.write { try $0.insert(big) }
    try await store.close()
  }

  /// Given up in time, it makes room: the operation that found none is run again and is durable, once.
  @Test func whatFoundNoRoomIsRunAgain() async throws {
    let folder = try TemporaryFolder()
    let reserve = DiskReserve(directory: folder.path, bytes: Self.size)
    let store = try SQLiteStore.open(
      directory: folder.path, clock: ManualClock(wall: Maker.start), log: Backend.quiet, reserve: reserve)
    reserve.open()
    let maker = Maker()
    let account = maker.account()
    let job = maker.job(account.id)
    try await store.write { try $0.save(account) }
    let sequence = try await store.write { market throws in
      try market.insert(job)
      let sequence = try market.append(JobEvent(of: job, at: Maker.start))
      // As a disk does that is full until the reserve is gone.
      if !reserve.isSpent { throw StoreError.diskFull }
      return sequence
    }
    #expect(sequence == 1 && reserve.isSpent)
    #expect(try await store.read { try $0.counts() } == [.pending: 1])
    try await store.close()
  }

  private static func setPageLimit(_ value: String, _ store: SQLiteStore) async throws {
    try await store.write { market throws in
      let connection = try #require(market as? SQLiteSession).connection
      let limit = try connection.first(SQL("SELECT \(value)")) { $0.int(0) } ?? 0
      _ = try connection.first(SQL("PRAGMA max_page_count = \(limit)")) { $0.int(0) }
    }
  }
}
