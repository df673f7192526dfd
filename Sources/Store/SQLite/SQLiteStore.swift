public import Clocks
import Cryptography
import GRDB
public import Logging

/// The market in one SQLite database: `market.db` in the data directory. One process at a time.
///
/// Writes run on one thread in groups that share a commit; a write is answered when its commit is on disk
/// (`synchronous=FULL`). Reads run on threads of their own.
public final class SQLiteStore: MarketStore {
  public let epoch: String
  private let writer: Writer
  private let readers: ReaderPool

  private init(epoch: String, writer: Writer, readers: ReaderPool) {
    self.epoch = epoch
    self.writer = writer
    self.readers = readers
  }

  deinit {
    writer.stop()
    readers.stop()
  }

  /// Opens the store in `directory`, which is made when it is not there.
  ///
  /// Throws ``DataDirectoryInUse`` while another process has it, ``StoreError/newerVersion(found:known:)`` for a
  /// database that a newer program made, and ``StoreError`` for what the disk says. `clock` decides, when a job is
  /// written, whether its time has come. A commit for which the disk has no room spends `reserve` and is tried again.
  /// What the writer does is counted in `metrics`.
  public static func open(
    directory: String, clock: any MarketClock, log: Logger, configuration: StoreConfiguration = StoreConfiguration(),
    reserve: DiskReserve? = nil, metrics: StoreMetrics = StoreMetrics()
  ) throws -> SQLiteStore {
    let lock = try DataDirectoryLock(directory: directory)
    let path = directory + "/market.db"
    do {
      let database = try SQLiteConfiguration.openWriter(path: path, configuration)
      try Schema.migrate(database, epoch: Hex.encode(SecureRandom.bytes(16)))
      // A connection that has just read a file of another version may have left the pragmas untouched until now.
      try SQLiteConfiguration.verifyDurability(database)
      let epoch = try database.read { try String.fetchOne($0, sql: "SELECT epoch FROM market") } ?? ""
      let readers = ReaderPool(queueLimit: configuration.readQueueLimit, clock: clock)
      let connections = try (0..<min(max(1, configuration.readers), 64)).map { _ in
        try SQLiteConfiguration.openReader(path: path, configuration)
      }
      let writer = Writer(
        clock: clock, log: log, configuration: configuration, walPath: path + "-wal", reserve: reserve,
        metrics: metrics)
      try writer.start(database) { lock.release() }
      do {
        try readers.start(connections, log: log)
      } catch {
        writer.stop()
        readers.stop()
        throw error
      }
      return SQLiteStore(epoch: epoch, writer: writer, readers: readers)
    } catch let error as DatabaseError {
      throw StoreError(error)
    }
  }

  public func write<Value: Sendable>(
    _ body: @escaping @Sendable (any MarketTransaction) throws -> Value
  ) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
      let call = PendingCall<Value>({ try body($0) }, continuation)
      do throws(StoreError) { try writer.add(call) } catch { call.answer(error) }
    }
  }

  public func read<Value: Sendable>(
    _ body: @escaping @Sendable (any MarketReader) throws -> Value
  ) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
      let call = PendingCall<Value>({ try body($0) }, continuation)
      do throws(StoreError) { try readers.add(call) } catch { call.answer(error) }
    }
  }

  public func setEventHandler(_ handler: @escaping @Sendable ([JobEvent]) -> Void) {
    writer.setEventHandler(handler)
  }

  public func close() async throws {
    // Readers first: the writer's last checkpoint can then empty the log.
    readers.stop()
    await readers.waitUntilStopped()
    writer.stop()
    await writer.waitUntilStopped()
  }
}
