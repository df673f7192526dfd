import JSON
import Marketplace

/// The columns of a job in the order that ``SQLiteSession/makeJob(_:)`` reads them.
let jobColumns = """
  j.key, j.id, j.account, j.created_at, j.attempt, j.rerun_of, j.rerun_reason, j.class, j.state, j.ready, \
  j.expires_at, j.available_at, j.rank, j.last_try, j.tries_used, j.miner, j.assigned_at, j.started_at, \
  j.completed_at, j.progress, j.progress_message, j.cancel_requested_at, j.cancel_reason, j.cancel_grace, \
  j.cancel_outcome, j.error_code, j.error_message, j.exit_code, j.result, j.cost, j.result_expires_at, \
  j.result_purged_at, s.body, j.chain, j.priority FROM jobs j JOIN specifications s ON s.job = j.key
  """

extension SQLiteSession {
  private enum Statements {
    static let byID = SQL("SELECT \(jobColumns) WHERE j.id = ?")
    static let byKey = SQL("SELECT \(jobColumns) WHERE j.key = ?")
    static let expiring = SQL(
      "SELECT \(jobColumns) WHERE j.state = 0 AND j.expires_at <= ? ORDER BY j.expires_at LIMIT ?")
    static let retentionDue = SQL(
      """
      SELECT \(jobColumns) WHERE j.result_expires_at IS NOT NULL AND j.result_purged_at IS NULL
      AND j.result_expires_at <= ? AND j.account NOT IN (SELECT account FROM retention_extensions)
      ORDER BY j.result_expires_at LIMIT ?
      """)
    static let counts = SQL("SELECT state, sum(count) FROM job_counts GROUP BY state")
    /// By account, since the index begins with it.
    static let oldestPending = SQL(
      """
      SELECT min((SELECT min(j.created_at) FROM jobs j WHERE j.account = c.account AND j.state = 0))
      FROM job_counts c WHERE c.state = 0 AND c.count > 0
      """)
    static let toPackage = SQL(
      """
      SELECT id FROM jobs WHERE completed_at IS NOT NULL AND left_files = 1 AND is_packaged = 0
      AND result_purged_at IS NULL ORDER BY completed_at, key LIMIT ?
      """)
  }

  func job(_ id: JobID) throws -> Job? {
    if let known = cache?.hot.job(id) { return known.job }
    return try connection.first(Statements.byID, [.string(id.rawValue)]) { try makeJob($0) }
  }

  /// The jobs of these rows, in this order.
  func jobs(keys: [Int64]) throws -> [Job] { try jobs(keys, bytes: .max) }

  /// The jobs of these rows, in this order; as many as have so many bytes of specifications and results, and at least
  /// one.
  func jobs(_ keys: [Int64], bytes: Int) throws -> [Job] {
    var jobs: [Job] = []
    var size = 0
    for key in keys where size < bytes {
      let known = cache?.hot.job(key: key)?.job
      let job =
        try known
        ?? connection.first(Statements.byKey, [.int64(key)]) { row in
          size += row.byteCount(28) + row.byteCount(32)
          return try makeJob(row)
        }
      guard let job else { throw StoreError.damaged("a listed job has no row") }
      jobs.append(job)
    }
    return jobs
  }

  func expiring(at now: Timestamp, limit: Int) throws -> [Job] {
    try connection.all(Statements.expiring, [.time(now), .integer(max(0, limit))]) { try makeJob($0) }
  }

  func retentionDue(at now: Timestamp, limit: Int) throws -> [Job] {
    try connection.all(Statements.retentionDue, [.time(now), .integer(max(0, limit))]) { try makeJob($0) }
  }

  func jobsToPackage(limit: Int) throws -> [JobID] {
    try connection.all(Statements.toPackage, [.integer(max(0, limit))]) { try $0.id(0) }
  }

  func pendingCount(account: AccountID) throws -> Int { try count(account, .pending) }

  func counts() throws -> [JobState: Int] {
    try flush()
    var counts: [JobState: Int] = [:]
    try connection.forEach(Statements.counts, []) { row in
      let count = row.int(1)
      if count != 0 { counts[try StateCode.state(row.int64(0))] = count }
    }
    return counts
  }

  func oldestPending() throws -> Timestamp? {
    try flush()
    return try connection.first(Statements.oldestPending) { $0.optionalTime(0) } ?? nil
  }

  /// The job of a row of ``jobColumns``; the writer remembers the row for a following `update`.
  func makeJob(_ row: Row) throws -> Job {
    guard let specification = JobSpecification(json: try row.json(32)) else {
      throw StoreError.damaged("specification of \(row.text(1))")
    }
    let new = Job(
      id: try row.id(1), account: try row.id(2), specification: specification, createdAt: row.time(3),
      attempt: row.int(4), rerunOf: try row.optionalID(5), rerunReason: row.optionalText(6),
      chain: try row.optionalID(33))
    var record = JobRecord(
      state: try StateCode.state(row.int64(8)), expiresAt: row.time(10), availableAt: row.time(11),
      rank: row.int64(12), lastTry: row.int(13), triesUsed: row.int(14), progress: row.int(19),
      cost: Money(micros: row.int64(29)))
    record.priority = try row.priority(34)
    record.miner = try row.optionalID(15)
    record.assignedAt = row.optionalTime(16)
    record.startedAt = row.optionalTime(17)
    record.completedAt = row.optionalTime(18)
    record.progressMessage = row.optionalText(20)
    record.cancel = try makeCancel(row)
    record.error = try row.jobError(25)
    record.exitCode = row.optionalInt(27)
    record.result = try row.optionalJSON(28)
    record.resultExpiresAt = row.optionalTime(30)
    record.resultPurgedAt = row.optionalTime(31)
    let job = Job(restoring: new, from: record)
    if let cache {
      let row = WriterCache.JobRow(
        key: row.int64(0), account: new.account, classID: row.int64(7), state: record.state,
        isReady: row.int64(9) == ReadyCode.ready, priority: try row.priority(34),
        isSmall: row.byteCount(32) <= WriterCache.smallSpecification)
      cache.rows[new.id] = row
      cache.hot.noteRead(job, row)
    }
    return job
  }

  private func makeCancel(_ row: Row) throws -> CancelRequest? {
    guard let requestedAt = row.optionalTime(21) else { return nil }
    return CancelRequest(
      requestedAt: requestedAt, reason: row.optionalText(22), grace: Seconds(milliseconds: row.int64(23)),
      outcome: try row.word(24))
  }
}
