import Clocks
import GRDB
import GRDBSQLite
import Instruments
import Logging
import Marketplace
import Synchronization

/// The one thread that writes. What waits when it is free becomes one transaction with one commit for all, and only
/// then their answers. An operation that throws is undone alone: where it had written already, the group is run once more
/// with a savepoint for each.
final class Writer: Sendable {
  private let queue: WorkQueue<any PendingWork>
  private let handler = Mutex(Handler())
  private let end = EndSignal()
  private let clock: any MarketClock
  private let log: Logger
  private let configuration: StoreConfiguration
  private let walPath: String
  private let reserve: DiskReserve?
  private let metrics: StoreMetrics

  /// A closure that is itself a generic value is wrapped once more each time it is read from there, without end; a
  /// struct that holds it is not.
  private struct Handler {
    var publish: (@Sendable ([JobEvent]) -> Void)?
  }

  init(
    clock: any MarketClock, log: Logger, configuration: StoreConfiguration, walPath: String, reserve: DiskReserve?,
    metrics: StoreMetrics
  ) {
    self.metrics = metrics
    self.reserve = reserve
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
    self.handler.withLock { $0.publish = handler }
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
      let watch = Stopwatch()
      let failures = try commit(group, session)
      metrics.durations.observe(watch.microseconds)
      metrics.groups.observe(Int64(group.count))
      metrics.operations.add(group.count)
      CrashPoint.publish.around { publish(session) }
      CrashPoint.answer.around { for (work, failure) in zip(group, failures) { work.answer(failure) } }
    } catch {
      // Nothing of the group is in the database, and what its operations found may rest on what is not there.
      session.connection.rollback()
      recover(session)
      if error as? StoreError == .diskFull, let reserve, reserve.spend() {
        log.warning("the disk is full: the space kept back is given up", metadata: ["bytes": "\(reserve.bytes)"])
        return run(group, session)
      }
      metrics.failures.add()
      log.error("a commit failed", metadata: ["operations": "\(group.count)", "error": "\(error)"])
      for work in group { work.answer(error) }
    }
  }

  /// Gives what each operation threw. Throws when nothing was committed.
  private func commit(_ group: [any PendingWork], _ session: SQLiteSession) throws -> [(any Error)?] {
    try session.connection.begin(forWriting: true)
    let failures = try runTogether(group, session) ?? runApart(group, session)
    let isFull = failures.contains { $0 as? StoreError == .diskFull }
    if isFull, let reserve, reserve.bytes > 0, !reserve.isSpent { throw StoreError.diskFull }
    try session.flush()
    try CrashPoint.commit.around { try session.connection.commit() }
    return failures
  }

  /// Runs the operations one after another without savepoints, which would copy every page that each of them touches.
  /// Nil when one threw after it had written: then all of it must be undone and the group run again, apart.
  private func runTogether(_ group: [any PendingWork], _ session: SQLiteSession) throws -> [(any Error)?]? {
    let connection = session.connection
    var failures: [(any Error)?] = []
    failures.reserveCapacity(group.count)
    for work in group {
      connection.beginOperation()
      session.beginOperation()
      let before = connection.totalChanges
      do {
        try work.run(session)
        if let failure = connection.failure { throw failure }
        failures.append(nil)
      } catch {
        if let abandoned = connection.abandoned { throw abandoned }
        guard connection.totalChanges == before else { return nil }
        session.undoOperation()
        failures.append(error)
      }
    }
    return failures
  }

  /// Runs the group from its beginning, each operation in a savepoint of its own.
  private func runApart(_ group: [any PendingWork], _ session: SQLiteSession) throws -> [(any Error)?] {
    session.connection.rollback()
    try session.reload()
    try session.connection.begin(forWriting: true)
    return try group.map { try runOne($0, session) }
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
    handler.withLock { $0.publish }?(events)
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
