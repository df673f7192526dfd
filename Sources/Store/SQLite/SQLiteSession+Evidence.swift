import Marketplace

/// Reports that were refused.
extension SQLiteSession {
  private enum Statements {
    static let ofJob = SQL(
      """
      SELECT try, miner, kind, sha256, reason, first_at, last_at, count FROM refused_reports WHERE job = ?
      ORDER BY first_at, try, miner, kind, sha256
      """)
    static let again = SQL(
      """
      UPDATE refused_reports SET last_at = ?, count = count + 1
      WHERE job = ? AND try = ? AND miner = ? AND kind = ? AND sha256 = ?
      """)
    static let count = SQL("SELECT count(*) FROM refused_reports WHERE job = ?")
    static let insert = SQL(
      """
      INSERT INTO refused_reports (job, try, miner, kind, sha256, reason, first_at, last_at, count)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
      """)
  }

  func refusedReports(of job: JobID) throws -> [RefusedReport] {
    try connection.all(Statements.ofJob, [.id(job)]) { row in
      RefusedReport(
        job: job, tryNumber: row.int(0), miner: try row.id(1), kind: try row.word(2), sha256: row.text(3),
        reason: row.text(4), at: row.time(5), lastAt: row.time(6), count: row.int(7))
    }
  }

  func note(_ report: RefusedReport) throws {
    let identity: [SQLValue] = [
      .id(report.job), .integer(report.tryNumber), .id(report.miner), .string(report.kind.rawValue),
      .string(report.sha256),
    ]
    try connection.execute(Statements.again, [.time(report.lastAt)] + identity)
    guard connection.changes == 0 else { return }
    let known = try connection.first(Statements.count, [.id(report.job)]) { $0.int(0) } ?? 0
    guard known < RefusedReport.limit else { return }
    try connection.execute(
      Statements.insert,
      identity + [.string(report.reason), .time(report.firstAt), .time(report.lastAt), .integer(report.count)])
  }
}
