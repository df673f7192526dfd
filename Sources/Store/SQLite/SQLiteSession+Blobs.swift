import Marketplace

/// Which inputs are still needed, and the removal of those that are not.
extension SQLiteSession {
  private enum Statements {
    static let unneeded = SQL(
      """
      SELECT sha256 FROM blobs INDEXED BY blobs_used WHERE used_at < ?
      AND NOT EXISTS (SELECT 1 FROM job_inputs i WHERE i.sha256 = blobs.sha256) ORDER BY used_at LIMIT ?
      """)
    static let isNeeded = SQL("SELECT 1 FROM job_inputs WHERE sha256 = ? LIMIT 1")
    static let removals = SQL("SELECT sha256 FROM blob_removals ORDER BY sha256 LIMIT ?")
    static let touch = SQL("UPDATE blobs SET used_at = ? WHERE sha256 = ? AND used_at < ?")
    static let remove = SQL("DELETE FROM blobs WHERE sha256 = ?")
    static let insertRemoval = SQL("INSERT INTO blob_removals (sha256) VALUES (?) ON CONFLICT DO NOTHING")
    static let removeRemoval = SQL("DELETE FROM blob_removals WHERE sha256 = ?")
  }

  func unneededBlobs(usedBefore time: Timestamp, limit: Int) throws -> [String] {
    try connection.all(Statements.unneeded, [.time(time), .integer(max(0, limit))]) { $0.text(0) }
  }

  func isNeeded(blob sha256: String) throws -> Bool {
    try connection.first(Statements.isNeeded, [.string(sha256)]) { _ in true } ?? false
  }

  func blobRemovals(limit: Int) throws -> [String] {
    try connection.all(Statements.removals, [.integer(max(0, limit))]) { $0.text(0) }
  }

  func touch(blob sha256: String, at now: Timestamp) throws {
    try connection.execute(Statements.touch, [.time(now), .string(sha256), .time(now)])
  }

  func forget(blob sha256: String) throws {
    try connection.execute(Statements.remove, [.string(sha256)])
    try connection.execute(Statements.insertRemoval, [.string(sha256)])
  }

  func removeBlobRemoval(_ sha256: String) throws {
    try connection.execute(Statements.removeRemoval, [.string(sha256)])
  }
}
