import Clocks
import GRDB
import GRDBSQLite
import Logging
import Marketplace
import Synchronization

/// The one thread that writes. What waits when it is free becomes one transaction: a savepoint for each operation, one
/// commit for all, and only then their answers.
final class Writer: Sendable {
  private let queue: WorkQueue<any PendingWork>
  private let handler = Mutex<(@Sendable ([JobEvent]) -> Void)?>(nil)
  private let end = EndSignal()
  private let clock: any MarketClock
  private let log: Logger
  private let configuration: StoreConfiguration
  private let walPath: String

  init(clock: any MarketClock, log: Logger, configuration: StoreConfiguration, walPath: String) {
    queue = WorkQueue(limit: configuration.writeQueueLimit)
    self.clock = clock
    self.log = log
    self.configuration = configuration
    self.walPath = walPath
  }

  /// Throws when the system gives no thread. `closed` runs on the thread at its very end.
  func start(_ database: DatabaseQueue, closed: @escaping @Sendable () -> Void) throws {
    end.expect(1)
    do {
      try startThread { [self] in
        serve(database)
        closed()
        end.signal()
      }
    } catch {
      end.signal()
      throw error
    }
  }

  func add(_ work: any PendingWork) throws(StoreError) { try queue.add(work) }

  func setEventHandler(_ handler: @escaping @Sendable ([JobEvent]) -> Void) {
    self.handler.withLock { $0 = handler }
  }

  func stop() { queue.close() }

  func waitUntilStopped() async { await end.wait() }

  private func serve(_ database: DatabaseQueue) {
    do {
      // For the thread's whole life; see ``ReaderPool``.
      try database.inDatabase { database in
        let connection = try Connection(database)
        let session = SQLiteSession(connection: connection, clock: clock, cache: WriterCache())
        try session.reload()
        while let group = queue.take(upTo: configuration.groupLimit) {
          run(group, session)
          boundLog(connection)
        }
        checkpoint(connection)
      }
      try database.close()
    } catch {
      log.critical("the store's writer ended", metadata: ["error": "\(error)"])
      queue.close()
      while let group = queue.take(upTo: .max / 2) {
        for work in group { work.answer(error) }
      }
    }
  }

  // MARK: One group

  private func run(_ group: [any PendingWork], _ session: SQLiteSession) {
    do {
      try session.connection.begin(forWriting: true)
      let failures = try group.map { try runOne($0, session) }
      try session.flush()
      try CrashPoint.commit.around { try session.connection.commit() }
      CrashPoint.publish.around { publish(session) }
      CrashPoint.answer.around { for (work, failure) in zip(group, failures) { work.answer(failure) } }
    } catch {
      // Nothing of the group is in the database, and what its operations found may rest on what is not there.
      session.connection.rollback()
      recover(session)
      log.error("a commit failed", metadata: ["operations": "\(group.count)", "error": "\(error)"])
      for work in group { work.answer(error) }
    }
  }

  /// Gives what the operation threw; then nothing it did remains. Throws when the whole transaction is lost.
  private func runOne(_ work: any PendingWork, _ session: SQLiteSession) throws -> (any Error)? {
    let connection = session.connection
    try connection.openSavepoint()
    session.beginOperation()
    do {
      try work.run(session)
      if let failure = connection.failure { throw failure }
      try connection.releaseSavepoint()
      return nil
    } catch {
      session.undoOperation()
      if let abandoned = connection.abandoned { throw abandoned }
      try connection.rollbackSavepoint()
      return error
    }
  }

  private func publish(_ session: SQLiteSession) {
    guard let events = session.cache?.endGroup(), !events.isEmpty else { return }
    handler.withLock { $0 }?(events)
  }

  private func recover(_ session: SQLiteSession) {
    do {
      try session.reload()
    } catch {
      // Its maps are empty at least; the next group reads again.
      log.critical("the store can't read its own state", metadata: ["error": "\(error)"])
    }
  }

  // MARK: The write-ahead log

  /// The automatic checkpoint can't cut the log back while a reader looks at its beginning.
  private func boundLog(_ connection: Connection) {
    guard FileSize.of(walPath) > configuration.walLimitBytes else { return }
    checkpoint(connection)
  }

  private func checkpoint(_ connection: Connection) {
    let code = sqlite3_wal_checkpoint_v2(connection.handle, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
    if code != SQLITE_OK { log.warning("the write-ahead log could not be cut back", metadata: ["code": "\(code)"]) }
  }
}
