import Marketplace

extension SQLiteSession {
  private enum Statements {
    private static let columns = """
      SELECT e.sequence, j.id, e.account, e.at, e.state, e.attempt, e.try, e.miner, e.progress, e.error_code, \
      e.error_message, e.exit_code, e.cancel_outcome FROM events e
      """
    private static let join = " JOIN jobs j ON j.key = e.job"
    private static let order = " ORDER BY e.sequence LIMIT ?"
    static let all = SQL(columns + join + " WHERE e.sequence > ?" + order)
    // A job's events are few and an account's are many: which index serves is known here, not to the planner.
    static let ofAccount = SQL(
      columns + " INDEXED BY events_account" + join + " WHERE e.sequence > ? AND e.account = ?" + order)
    static let ofJob = SQL(columns + " INDEXED BY events_job" + join + " WHERE e.sequence > ? AND e.job = ?" + order)
    static let ofBoth = SQL(
      columns + " INDEXED BY events_job" + join + " WHERE e.sequence > ? AND e.job = ? AND e.account = ?" + order)
    static let jobKey = SQL("SELECT key FROM jobs WHERE id = ?")
    static let first = SQL("SELECT coalesce(min(sequence), 1) FROM events")
    static let insert = SQL(
      """
      INSERT INTO events (sequence, job, account, at, state, attempt, try, miner, progress, error_code, error_message,
        exit_code, cancel_outcome)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      """)
  }

  func append(_ event: JobEvent) throws -> Int64 {
    let cache = try writing()
    let row = try row(of: event.job)
    var event = event
    event.sequence = cache.lastSequence + 1
    try connection.execute(
      Statements.insert,
      [
        .int64(event.sequence), .int64(row.key), .id(event.account), .time(event.at),
        .int64(StateCode.number(event.state)), .integer(event.attempt), .integer(event.tryNumber), .id(event.miner),
        .integer(event.progress), .text(event.error?.code.rawValue), .text(event.error?.message),
        .integer(event.exitCode), .text(event.cancelOutcome?.rawValue),
      ])
    cache.appended(event)
    return event.sequence
  }

  func events(after sequence: Int64, account: AccountID?, job: JobID?, limit: Int) throws -> [JobEvent] {
    let limit = SQLValue.integer(max(0, limit))
    let after = SQLValue.int64(sequence)
    guard let job else {
      guard let account else { return try connection.all(Statements.all, [after, limit]) { try Self.makeEvent($0) } }
      return try connection.all(Statements.ofAccount, [after, .id(account), limit]) { try Self.makeEvent($0) }
    }
    guard let key = try connection.first(Statements.jobKey, [.id(job)], { $0.int64(0) }) else { return [] }
    guard let account else {
      return try connection.all(Statements.ofJob, [after, .int64(key), limit]) { try Self.makeEvent($0) }
    }
    return try connection.all(Statements.ofBoth, [after, .int64(key), .id(account), limit]) { try Self.makeEvent($0) }
  }

  func lastSequence() throws -> Int64 { try cache.map(\.lastSequence) ?? storedLastSequence() }

  func firstSequence() throws -> Int64 { try connection.first(Statements.first) { $0.int64(0) } ?? 1 }

  private static func makeEvent(_ row: Row) throws -> JobEvent {
    JobEvent(
      sequence: row.int64(0), job: try row.id(1), account: try row.id(2), at: row.time(3),
      state: try StateCode.state(row.int64(4)), attempt: row.int(5), tryNumber: row.int(6),
      miner: try row.optionalID(7), progress: row.int(8), error: try row.jobError(9), exitCode: row.optionalInt(11),
      cancelOutcome: row.isNull(12) ? nil : try row.word(12))
  }
}
