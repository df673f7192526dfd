import Clocks
import JSON
import Marketplace

/// One connection's view of the market: all reads, and on the writer's connection all changes.
///
/// Belongs to one thread and to one transaction at a time. Readers get it as `any MarketReader`; their connections
/// refuse writes besides.
final class SQLiteSession {
  let connection: Connection
  let clock: any MarketClock
  /// The writer's memory; nil on readers.
  let cache: WriterCache?
  /// Requirements by class, which never change once they are durable.
  var requirements: [Int64: Requirements] = [:]

  static let requirementsLimit = 10_000

  init(connection: Connection, clock: any MarketClock, cache: WriterCache?) {
    self.connection = connection
    self.clock = clock
    self.cache = cache
    guard let cache else { return }
    connection.willChangeHotRows = { [unowned self] in
      try flush()
      cache.forgetRows()
    }
  }

  /// The writer's memory. Throws on a reader, which `any MarketReader` keeps from happening.
  func writing() throws -> WriterCache {
    guard let cache else { throw StoreError.failed("a reader can't write") }
    return cache
  }

  /// The account's jobs in a state: from memory on the writer, else from the table.
  func count(_ account: AccountID, _ state: JobState) throws -> Int {
    let key = WriterCache.CountKey(account: account, state: state)
    guard let cache else { return try storedCount(key) }
    return try cache.count(key) { try storedCount(key) }
  }

  func storedCount(_ key: WriterCache.CountKey) throws -> Int {
    try connection.first(
      Statements.count, [.string(key.account.rawValue), .int64(StateCode.number(key.state))]
    ) { $0.int(0) } ?? 0
  }

  /// Writes what memory knows better than the tables; before statements that read those tables, and before a commit.
  func flush() throws {
    guard let cache else { return }
    try cache.flush(
      writeCount: { key, count in
        try connection.execute(
          Statements.saveCount,
          [.string(key.account.rawValue), .int64(StateCode.number(key.state)), .integer(count)])
      },
      writeClass: { id, count in
        try connection.execute(
          Statements.saveClassCount, [.integer(count.pending), .integer(count.ready), .int64(id)])
      },
      writeAccount: { try write($0) },
      writeBalance: { party, sum in
        try connection.execute(Statements.saveBalance, [.string(party), .int64(sum.amount), .integer(sum.lines)])
      },
      writeTotals: { account, totals in try write(totals, of: account) },
      writeVirtualTime: { try connection.execute(Statements.saveVirtualTime, [.int64($0)]) })
  }

  /// Starts memory anew from what is durable.
  func reload() throws {
    guard let cache else { return }
    requirements = [:]
    cache.reset(lastSequence: try storedLastSequence(), virtualTime: try storedVirtualTime())
  }

  func beginOperation() { cache?.beginOperation() }

  /// Forgets what the operation that is rolled back had put into memory.
  func undoOperation() {
    requirements = [:]
    cache?.undoOperation()
  }

  func storedLastSequence() throws -> Int64 {
    try connection.first(Statements.lastSequence) { $0.int64(0) } ?? 0
  }

  func storedVirtualTime() throws -> Int64 {
    try connection.first(Statements.virtualTime) { $0.int64(0) } ?? 0
  }

  private enum Statements {
    static let count = SQL("SELECT count FROM job_counts WHERE account = ? AND state = ?")
    static let saveCount = SQL(
      "INSERT INTO job_counts (account, state, count) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = excluded.count"
    )
    static let saveClassCount = SQL("UPDATE classes SET pending = ?, ready = ? WHERE id = ?")
    static let saveBalance = SQL(
      """
      INSERT INTO balances (party, amount, lines) VALUES (?, ?, ?)
      ON CONFLICT DO UPDATE SET amount = excluded.amount, lines = excluded.lines
      """)
    static let saveVirtualTime = SQL("UPDATE market SET virtual_time = ? WHERE id = 0")
    static let lastSequence = SQL("SELECT coalesce(max(sequence), 0) FROM events")
    static let virtualTime = SQL("SELECT virtual_time FROM market WHERE id = 0")
  }
}

extension SQLiteSession: MarketTransaction {
  func virtualTime() throws -> Int64 { try cache.map(\.virtualTime) ?? storedVirtualTime() }
  func setVirtualTime(_ time: Int64) throws { try writing().setVirtualTime(time) }
}

/// How states stand in the database. The numbers never change; new states get new ones.
enum StateCode {
  private static let states: [JobState] = [
    .pending, .assigned, .running, .canceling, .completed, .failed, .canceled, .expired, .lost, .skipped,
  ]

  static func number(_ state: JobState) -> Int64 {
    switch state {
    case .pending: 0
    case .assigned: 1
    case .running: 2
    case .canceling: 3
    case .completed: 4
    case .failed: 5
    case .canceled: 6
    case .expired: 7
    case .lost: 8
    case .skipped: 9
    }
  }

  static func state(_ number: Int64) throws -> JobState {
    guard number >= 0, number < Int64(states.count) else { throw StoreError.damaged("job state \(number)") }
    return states[Int(number)]
  }
}
