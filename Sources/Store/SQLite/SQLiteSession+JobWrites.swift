import Clocks
import JSON
import Marketplace

extension SQLiteSession {
  private enum Statements {
    static let insert = SQL(
      """
      INSERT INTO jobs (id, account, created_at, attempt, rerun_of, rerun_reason, run_key, search, class, state, ready,
        expires_at, available_at, rank, last_try, tries_used, miner, assigned_at, started_at, progress,
        progress_message, cancel_requested_at, cancel_reason, cancel_grace, cancel_outcome, error_code, error_message,
        exit_code, completed_at, result, cost, result_expires_at, result_purged_at, chain, priority)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      """, keepsCache: true)
    static let insertSpecification = SQL("INSERT INTO specifications (job, body) VALUES (?, ?)")
    static let insertLabel = SQL(
      "INSERT INTO job_labels (account, name, value, created_at, job) VALUES (?, ?, ?, ?, ?)")
    static let insertInput = SQL("INSERT INTO job_inputs (sha256, job) VALUES (?, ?) ON CONFLICT DO NOTHING")
    static let row = SQL("SELECT key, account, class, state, ready, priority FROM jobs WHERE id = ?")
    static let setPriority = SQL("UPDATE jobs SET priority = ? WHERE key = ?")
    private static let moving = """
      UPDATE jobs SET state = ?, ready = ?, expires_at = ?, available_at = ?, rank = ?, last_try = ?, tries_used = ?,
        miner = ?, assigned_at = ?, started_at = ?, progress = ?, progress_message = ?, cancel_requested_at = ?,
        cancel_reason = ?, cancel_grace = ?, cancel_outcome = ?, error_code = ?, error_message = ?, exit_code = ?
      """
    /// While nothing is said about an end: SQLite rewrites the indexes of every column that is named, changed or not.
    static let updateActive = SQL(moving + " WHERE key = ?", keepsCache: true)
    static let updateEnded = SQL(
      moving + ", completed_at = ?, result = ?, cost = ?, result_expires_at = ?, result_purged_at = ? WHERE key = ?",
      keepsCache: true)
  }

  func insert(_ job: Job) throws {
    let cache = try writing()
    let requirements = Requirements(of: job.specification)
    let classID = try classID(of: requirements)
    let isReady = job.state == .pending && job.availableAt <= max(job.createdAt, clock.now)
    let specification = job.specification
    let identity: [SQLValue] = [
      .id(job.id), .id(job.account), .time(job.createdAt), .integer(job.attempt), .id(job.rerunOf),
      .text(job.rerunReason), .text(specification.runKey), .text(JobSearch.text(of: specification)),
      .int64(classID),
    ]
    try connection.execute(
      Statements.insert,
      identity + Self.activeValues(of: job, isReady: isReady) + Self.endValues(of: job)
        + [.id(job.chain), .integer(job.priority.rawValue)])
    let body = specification.json.text
    let row = WriterCache.JobRow(
      key: connection.lastInsertedKey, account: job.account, classID: classID, state: job.state, isReady: isReady,
      priority: job.priority, isSmall: body.utf8.count <= WriterCache.smallSpecification)
    try connection.execute(Statements.insertSpecification, [.int64(row.key), .string(body)])
    for (name, value) in specification.labels {
      try connection.execute(
        Statements.insertLabel,
        [.id(job.account), .string(name), .string(value), .time(job.createdAt), .int64(row.key)])
    }
    for input in specification.inputs {
      try connection.execute(Statements.insertInput, [.string(input.sha256), .int64(row.key)])
    }
    cache.rows[job.id] = row
    cache.hot.noteWritten(job, row)
    try count(row, by: 1)
  }

  func update(_ job: Job) throws {
    let cache = try writing()
    let old = try row(of: job.id)
    var new = old
    new.state = job.state
    new.isReady = job.state == .pending && job.availableAt <= clock.now
    let values = Self.activeValues(of: job, isReady: new.isReady)
    if old.state.isTerminal || Self.hasEnd(job) {
      try connection.execute(Statements.updateEnded, values + Self.endValues(of: job) + [.int64(new.key)])
    } else {
      try connection.execute(Statements.updateActive, values + [.int64(new.key)])
    }
    if new.priority != job.priority {
      new.priority = job.priority
      try connection.execute(Statements.setPriority, [.integer(job.priority.rawValue), .int64(new.key)])
    }
    cache.rows[job.id] = new
    cache.hot.noteWritten(job, new)
    if job.state.isTerminal, !old.state.isTerminal { try addTotals(of: job) }
    guard new.state != old.state || new.isReady != old.isReady else { return }
    try count(old, by: -1)
    try count(new, by: 1)
  }

  /// The row's fixed facts. Throws when there is no such job.
  func row(of id: JobID) throws -> WriterCache.JobRow {
    let cache = try writing()
    if let row = cache.rows[id] ?? cache.hot.job(id)?.row { return row }
    let found = try connection.first(Statements.row, [.id(id)]) { row in
      WriterCache.JobRow(
        key: row.int64(0), account: try row.id(1), classID: row.int64(2), state: try StateCode.state(row.int64(3)),
        isReady: row.int64(4) == ReadyCode.ready, priority: try row.priority(5))
    }
    guard let found else { throw StoreError.failed("no job \(id)") }
    cache.rows[id] = found
    return found
  }

  /// Counts a row in (1) or out (-1).
  func count(_ row: WriterCache.JobRow, by delta: Int) throws {
    let cache = try writing()
    let key = WriterCache.CountKey(account: row.account, state: row.state)
    try cache.add(delta, to: key) { try storedCount(key) }
    guard row.state == .pending else { return }
    try cache.add(.init(pending: delta, ready: row.isReady ? delta : 0), toClass: row.classID) {
      try storedClassCount(row.classID)
    }
  }

  private static func hasEnd(_ job: Job) -> Bool {
    job.state.isTerminal || job.completedAt != nil || job.result != nil || job.cost != .zero
      || job.resultExpiresAt != nil || job.resultPurgedAt != nil
  }

  private static func activeValues(of job: Job, isReady: Bool) -> [SQLValue] {
    [
      .int64(StateCode.number(job.state)), .flag(isReady), .time(job.expiresAt), .time(job.availableAt),
      .int64(job.rank), .integer(job.lastTry), .integer(job.triesUsed), .id(job.miner), .time(job.assignedAt),
      .time(job.startedAt), .integer(job.progress), .text(job.progressMessage), .time(job.cancel?.requestedAt),
      .text(job.cancel?.reason), .integer(job.cancel?.grace.milliseconds), .text(job.cancel?.outcome.rawValue),
      .text(job.error?.code.rawValue), .text(job.error?.message), .integer(job.exitCode),
    ]
  }

  private static func endValues(of job: Job) -> [SQLValue] {
    [
      .time(job.completedAt), .json(job.result), .int64(job.cost.micros), .time(job.resultExpiresAt),
      .time(job.resultPurgedAt),
    ]
  }
}

/// What free-text search looks at, folded once when the job is stored.
enum JobSearch {
  /// Name and run key. They are separated by a character that no query matches. Nil when there is neither.
  static func text(of specification: JobSpecification) -> String? {
    guard specification.name != nil || specification.runKey != nil else { return nil }
    return fold(specification.name ?? "") + separator + fold(specification.runKey ?? "")
  }

  static func fold(_ text: String) -> String { text.lowercased() }

  static let separator = "\u{1F}"
}
