import JSON
import Marketplace

private let tryColumns = """
  job, number, miner, lease_hash, claimed_at, state, started_at, ended_at, exit_code, error_code, error_message, usage, \
  stdout_length, stdout_sha256, stderr_length, stderr_sha256, miner_key, \
  miner_signature, price FROM tries
  """

extension SQLiteSession {
  private enum Statements {
    static let ofJob = SQL("SELECT \(tryColumns) WHERE job = ? ORDER BY number")
    static let byNumber = SQL("SELECT \(tryColumns) WHERE job = ? AND number = ?")
    static let byLease = SQL("SELECT \(tryColumns) WHERE lease_hash = ?")
    static let held = SQL("SELECT \(tryColumns) WHERE state = 'held' ORDER BY job, number")
    static let insert = SQL(
      """
      INSERT INTO tries (job, number, miner, lease_hash, claimed_at, state, started_at, ended_at, exit_code, error_code,
        error_message, usage, stdout_length, stdout_sha256, stderr_length, stderr_sha256, miner_key, miner_signature,
        price)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      """, keepsCache: true)
    static let update = SQL(
      """
      UPDATE tries SET state = ?, started_at = ?, ended_at = ?, exit_code = ?, error_code = ?, error_message = ?,
        usage = ?, stdout_length = ?, stdout_sha256 = ?, stderr_length = ?, stderr_sha256 = ?,
        miner_key = ?, miner_signature = ?
      WHERE job = ? AND number = ?
      """, keepsCache: true)
  }

  func tries(of job: JobID) throws -> [TryRecord] {
    try connection.all(Statements.ofJob, [.id(job)]) { try Self.makeTry($0) }
  }

  func tryRecord(of job: JobID, number: Int) throws -> TryRecord? {
    if let latest = cache?.hot.latestTry, latest.number == number, latest.job == job { return latest }
    return try connection.first(Statements.byNumber, [.id(job), .integer(number)]) { try Self.makeTry($0) }
  }

  func tryRecord(leaseHash: String) throws -> TryRecord? {
    if let known = cache?.hot.attempt(leaseHash) { return known }
    let attempt = try connection.first(Statements.byLease, [.string(leaseHash)]) { try Self.makeTry($0) }
    if let attempt { cache?.hot.noteRead(attempt) }
    return attempt
  }

  func heldTries() throws -> [TryRecord] { try connection.all(Statements.held) { try Self.makeTry($0) } }

  func insert(_ attempt: TryRecord) throws {
    let identity: [SQLValue] = [
      .id(attempt.job), .integer(attempt.number), .id(attempt.miner), .string(attempt.leaseHash),
      .time(attempt.claimedAt),
    ]
    try connection.execute(Statements.insert, identity + Self.values(of: attempt) + [.integer(attempt.price?.micros)])
    cache?.hot.noteWritten(attempt)
    try noteFiles(of: attempt)
  }

  func update(_ attempt: TryRecord) throws {
    try connection.execute(
      Statements.update, Self.values(of: attempt) + [.id(attempt.job), .integer(attempt.number)])
    guard connection.changes == 1 else {
      throw StoreError.failed("no try \(attempt.number) of \(attempt.job)")
    }
    cache?.hot.noteWritten(attempt)
    try noteFiles(of: attempt)
  }

  private func noteFiles(of attempt: TryRecord) throws {
    let length = max(attempt.stdout?.length ?? 0, attempt.stderr?.length ?? 0)
    if length > 0 { try noteFiles(of: attempt.job) }
  }

  private static func values(of attempt: TryRecord) -> [SQLValue] {
    [
      .string(attempt.state.rawValue), .time(attempt.startedAt), .time(attempt.endedAt), .integer(attempt.exitCode),
      .text(attempt.error?.code.rawValue), .text(attempt.error?.message), .json(attempt.usage),
      .integer(attempt.stdout?.length), .text(attempt.stdout?.sha256), .integer(attempt.stderr?.length),
      .text(attempt.stderr?.sha256), .text(attempt.signature?.keyID), .text(attempt.signature?.signature),
    ]
  }

  private static func makeTry(_ row: Row) throws -> TryRecord {
    var attempt = TryRecord(
      job: try row.id(0), number: row.int(1), miner: try row.id(2), leaseHash: row.text(3), claimedAt: row.time(4),
      price: row.optionalInt64(18).map { Money(micros: $0) })
    attempt.state = try row.word(5)
    attempt.startedAt = row.optionalTime(6)
    attempt.endedAt = row.optionalTime(7)
    attempt.exitCode = row.optionalInt(8)
    attempt.error = try row.jobError(9)
    attempt.usage = try row.optionalJSON(11)
    attempt.stdout = row.optionalInt64(12).map { LogRecord(length: $0, sha256: row.text(13)) }
    attempt.stderr = row.optionalInt64(14).map { LogRecord(length: $0, sha256: row.text(15)) }
    attempt.signature = row.optionalText(16).map { SignatureRecord(keyID: $0, signature: row.text(17)) }
    return attempt
  }
}
