import Marketplace

/// Results that go: which, how far, and how long others stay.
extension SQLiteSession {
  private enum Statements {
    static let purging = SQL("SELECT job FROM purges WHERE job > ? ORDER BY job LIMIT ?")
    static let isPurging = SQL("SELECT 1 FROM purges WHERE job = ?")
    static let insertPurge = SQL("INSERT INTO purges (job) VALUES (?) ON CONFLICT DO NOTHING")
    static let removePurge = SQL("DELETE FROM purges WHERE job = ?")
    static let removeInputs = SQL("DELETE FROM job_inputs WHERE job = (SELECT key FROM jobs WHERE id = ?)")
    static let place = SQL("SELECT key FROM jobs WHERE id = ?")
    static let nextExtension = SQL(
      """
      SELECT key, account, retention, completed_until, completed_at, job FROM retention_extensions ORDER BY key LIMIT 1
      """)
    static let insertExtension = SQL(
      """
      INSERT INTO retention_extensions (account, retention, completed_until, completed_at, job) VALUES (?, ?, ?, ?, 0)
      """)
    static let updateExtension = SQL("UPDATE retention_extensions SET completed_at = ?, job = ? WHERE key = ?")
    static let removeExtension = SQL("DELETE FROM retention_extensions WHERE key = ?")
    static let completed = SQL(
      """
      SELECT key FROM jobs INDEXED BY jobs_completed WHERE account = ? AND completed_at <= ?
      AND (completed_at, key) > (?, ?) ORDER BY completed_at, key LIMIT ?
      """)
  }

  // MARK: Removal

  func purgeable(_ selection: PurgeSelection, after job: Job?, limit: Int) throws -> [Job] {
    var text = "SELECT key FROM jobs WHERE account = ? AND completed_at IS NOT NULL AND result_purged_at IS NULL"
    var values: [SQLValue] = [.id(selection.account)]
    if let before = selection.before {
      text += " AND completed_at < ?"
      values.append(.time(before))
    }
    if let after = selection.after {
      text += " AND completed_at >= ?"
      values.append(.time(after))
    }
    if !selection.states.isEmpty {
      // The numbers are constants of this program.
      let list = JobState.allCases.filter(selection.states.contains).map { String(StateCode.number($0)) }
      text += " AND state IN (\(list.joined(separator: ", ")))"
    }
    if let key = selection.runKey {
      text += " AND run_key = ?"
      values.append(.string(key))
    }
    if let job, let ended = job.completedAt {
      let key = try connection.first(Statements.place, [.id(job.id)]) { $0.int64(0) } ?? 0
      text += " AND (completed_at, key) > (?, ?)"
      values += [.time(ended), .int64(key)]
    }
    text += " ORDER BY completed_at, key LIMIT ?"
    return try jobs(keys: connection.all(dynamic: text, values + [.integer(max(0, limit))]) { $0.int64(0) })
  }

  func purging(after job: JobID?, limit: Int) throws -> [JobID] {
    try connection.all(Statements.purging, [.string(job?.rawValue ?? ""), .integer(max(0, limit))]) { try $0.id(0) }
  }

  func isPurging(_ job: JobID) throws -> Bool {
    try connection.first(Statements.isPurging, [.id(job)]) { _ in true } ?? false
  }

  func insertPurge(_ job: JobID) throws { try connection.execute(Statements.insertPurge, [.id(job)]) }

  func removePurge(_ job: JobID) throws { try connection.execute(Statements.removePurge, [.id(job)]) }

  func removeInputs(of job: JobID) throws { try connection.execute(Statements.removeInputs, [.id(job)]) }

  // MARK: Longer retention

  func nextExtension() throws -> RetentionExtension? {
    try connection.first(Statements.nextExtension) { row in
      RetentionExtension(
        key: row.int64(0), account: try row.id(1), retention: Seconds(milliseconds: row.int64(2)),
        completedUntil: row.time(3), completedAt: row.time(4), job: row.int64(5))
    }
  }

  func completed(in extension: RetentionExtension, limit: Int) throws -> [(row: Int64, job: Job)] {
    let keys = try connection.all(
      Statements.completed,
      [
        .id(`extension`.account), .time(`extension`.completedUntil), .time(`extension`.completedAt),
        .int64(`extension`.job), .integer(max(0, limit)),
      ]
    ) { $0.int64(0) }
    return Array(zip(keys, try jobs(keys: keys))).map { (row: $0, job: $1) }
  }

  func insertExtension(account: AccountID, retention: Seconds, completedUntil: Timestamp) throws {
    // What ended a whole retention earlier is gone under either plan.
    try connection.execute(
      Statements.insertExtension,
      [
        .id(account), .int64(retention.milliseconds), .time(completedUntil), .time(completedUntil - retention),
      ])
  }

  func update(_ extension: RetentionExtension) throws {
    try connection.execute(
      Statements.updateExtension,
      [.time(`extension`.completedAt), .int64(`extension`.job), .int64(`extension`.key)])
  }

  func remove(_ extension: RetentionExtension) throws {
    try connection.execute(Statements.removeExtension, [.int64(`extension`.key)])
  }
}
