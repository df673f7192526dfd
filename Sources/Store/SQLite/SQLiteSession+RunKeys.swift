import Marketplace

/// Run keys and the answers of idempotent requests.
extension SQLiteSession {
  private enum Statements {
    static let runKey = SQL(
      """
      SELECT specification_hash, is_strict, latest_job, last_attempt, unlock_reason, unlock_granted_at,
        unlock_expires_at
      FROM run_keys WHERE account = ? AND key = ?
      """)
    static let saveRunKey = SQL(
      """
      INSERT INTO run_keys (account, key, specification_hash, is_strict, latest_job, last_attempt, unlock_reason,
        unlock_granted_at, unlock_expires_at)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET specification_hash = excluded.specification_hash, is_strict = excluded.is_strict,
        latest_job = excluded.latest_job, last_attempt = excluded.last_attempt,
        unlock_reason = excluded.unlock_reason, unlock_granted_at = excluded.unlock_granted_at,
        unlock_expires_at = excluded.unlock_expires_at
      """)
    static let answer = SQL(
      "SELECT request_hash, status, body, created_at FROM idempotency WHERE account = ? AND key = ?")
    static let insertAnswer = SQL(
      "INSERT INTO idempotency (account, key, request_hash, status, body, created_at) VALUES (?, ?, ?, ?, ?, ?)")
    static let removeAnswers = SQL(
      """
      DELETE FROM idempotency WHERE rowid IN
        (SELECT rowid FROM idempotency WHERE created_at < ? ORDER BY created_at LIMIT ?)
      """)
  }

  func runKey(account: AccountID, key: String) throws -> RunKeyRecord? {
    try connection.first(Statements.runKey, [.id(account), .string(key)]) { row in
      RunKeyRecord(
        account: account, key: key, specificationHash: row.text(0), isStrict: row.flag(1), latestJob: try row.id(2),
        lastAttempt: row.int(3),
        unlock: row.optionalTime(5).map {
          RunKeyUnlock(reason: row.optionalText(4), grantedAt: $0, expiresAt: row.optionalTime(6))
        })
    }
  }

  func save(_ runKey: RunKeyRecord) throws {
    try connection.execute(
      Statements.saveRunKey,
      [
        .id(runKey.account), .string(runKey.key), .string(runKey.specificationHash), .flag(runKey.isStrict),
        .id(runKey.latestJob), .integer(runKey.lastAttempt), .text(runKey.unlock?.reason),
        .time(runKey.unlock?.grantedAt), .time(runKey.unlock?.expiresAt),
      ])
  }

  func idempotency(account: AccountID, key: String) throws -> IdempotencyRecord? {
    try connection.first(Statements.answer, [.id(account), .string(key)]) { row in
      IdempotencyRecord(
        account: account, key: key, requestHash: row.text(0), status: row.int(1), body: row.text(2),
        createdAt: row.time(3))
    }
  }

  func insert(_ answer: IdempotencyRecord) throws {
    try connection.execute(
      Statements.insertAnswer,
      [
        .id(answer.account), .string(answer.key), .string(answer.requestHash), .integer(answer.status),
        .string(answer.body), .time(answer.createdAt),
      ])
  }

  func removeIdempotency(before time: Timestamp, limit: Int) throws -> Int {
    try connection.execute(Statements.removeAnswers, [.time(time), .integer(max(0, limit))])
    return connection.changes
  }
}
