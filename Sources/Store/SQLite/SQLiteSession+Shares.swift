import Marketplace

extension SQLiteSession {
  private enum Statements {
    private static let columns = """
      SELECT id, token_hash, grant_secret, job, account, created_at, expires_at, max_downloads, downloads FROM shares
      """
    static let byToken = SQL(columns + " WHERE token_hash = ?")
    static let byID = SQL(columns + " WHERE id = ?")
    static let ofJob = SQL(columns + " WHERE job = ? ORDER BY id")
    static let insert = SQL(
      """
      INSERT INTO shares (id, token_hash, grant_secret, job, account, created_at, expires_at, max_downloads, downloads)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
      """)
    static let count = SQL("UPDATE shares SET downloads = downloads + 1 WHERE id = ?")
    static let remove = SQL("DELETE FROM shares WHERE id = ?")
  }

  func share(tokenHash: String) throws -> ShareRecord? {
    try connection.first(Statements.byToken, [.string(tokenHash)]) { try Self.makeShare($0) }
  }

  func share(_ id: ShareID) throws -> ShareRecord? {
    try connection.first(Statements.byID, [.id(id)]) { try Self.makeShare($0) }
  }

  func shares(of job: JobID) throws -> [ShareRecord] {
    try connection.all(Statements.ofJob, [.id(job)]) { try Self.makeShare($0) }
  }

  func insert(_ share: ShareRecord) throws {
    try connection.execute(
      Statements.insert,
      [
        .id(share.id), .string(share.tokenHash), .bytes(share.grantSecret), .id(share.job), .id(share.account),
        .time(share.createdAt), .time(share.expiresAt), .integer(share.maximumDownloads), .int64(share.downloads),
      ])
  }

  func countDownload(of share: ShareID) throws { try connection.execute(Statements.count, [.id(share)]) }

  func remove(share: ShareID) throws { try connection.execute(Statements.remove, [.id(share)]) }

  private static func makeShare(_ row: Row) throws -> ShareRecord {
    ShareRecord(
      id: try row.id(0), tokenHash: row.text(1), grantSecret: row.withBytes(2) { Array($0) }, job: try row.id(3),
      account: try row.id(4), createdAt: row.time(5), expiresAt: row.time(6), maximumDownloads: row.optionalInt64(7),
      downloads: row.int64(8))
  }
}
