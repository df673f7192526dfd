import Clocks
import GRDB
import Logging

/// Threads with a read-only connection each. One read is one snapshot.
final class ReaderPool: Sendable {
  private let queue: WorkQueue<any PendingWork>
  private let end = EndSignal()
  private let clock: any MarketClock

  init(queueLimit: Int, clock: any MarketClock) {
    queue = WorkQueue(limit: queueLimit)
    self.clock = clock
  }

  /// One thread for each connection. Throws when the system gives no thread.
  func start(_ databases: [DatabaseQueue], log: Logger) throws {
    end.expect(databases.count)
    var started = 0
    do {
      for database in databases {
        try startThread { [self] in
          serve(database, log: log)
          end.signal()
        }
        started += 1
      }
    } catch {
      for _ in started..<databases.count { end.signal() }
      throw error
    }
  }

  func add(_ work: any PendingWork) throws(StoreError) { try queue.add(work) }

  func stop() { queue.close() }

  func waitUntilStopped() async { await end.wait() }

  private func serve(_ database: DatabaseQueue, log: Logger) {
    do {
      // For the thread's whole life: entering GRDB's queue for each read would cost more than most reads.
      try database.inDatabase { database in
        let session = SQLiteSession(connection: try Connection(database), clock: clock, cache: nil)
        while let work = queue.take(upTo: 1) {
          for work in work { Self.run(work, session) }
        }
      }
      try database.close()
    } catch {
      log.error("a reader of the store ended", metadata: ["error": "\(error)"])
      queue.close()
      while let work = queue.take(upTo: .max / 2) {
        for work in work { work.answer(error) }
      }
    }
  }

  private static func run(_ work: any PendingWork, _ session: SQLiteSession) {
    do {
      try session.connection.begin(forWriting: false)
      try work.run(session)
      session.connection.rollback()
      work.answer(nil)
    } catch {
      session.connection.rollback()
      work.answer(error)
    }
  }
}
