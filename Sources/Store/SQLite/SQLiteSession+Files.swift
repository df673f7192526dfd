import Marketplace

extension SQLiteSession {
  private enum Statements {
    static let noteFiles = SQL("UPDATE jobs SET left_files = 1 WHERE id = ? AND left_files = 0", keepsCache: true)
    static let artifacts = SQL("SELECT path, size, sha256 FROM artifacts WHERE job = ? AND try = ? ORDER BY path")
    static let artifact = SQL("SELECT size, sha256 FROM artifacts WHERE job = ? AND try = ? AND path = ?")
    static let saveArtifact = SQL(
      """
      INSERT INTO artifacts (job, try, path, size, sha256) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET size = excluded.size, sha256 = excluded.sha256
      """)
    static let removeArtifacts = SQL(
      "DELETE FROM artifacts WHERE (job, try, path) IN (SELECT job, try, path FROM artifacts WHERE job = ? LIMIT ?)")
    static let package = SQL("SELECT size, sha256, created_at FROM packages WHERE job = ?")
    static let packageSize = SQL("SELECT size FROM packages WHERE job = ?")
    static let savePackage = SQL(
      """
      INSERT INTO packages (job, size, sha256, created_at) VALUES (?, ?, ?, ?)
      ON CONFLICT (job) DO UPDATE SET size = excluded.size, sha256 = excluded.sha256,
        created_at = excluded.created_at
      """)
    static let removePackage = SQL("DELETE FROM packages WHERE job = ?")
    static let markPackaged = SQL("UPDATE jobs SET is_packaged = ? WHERE id = ?", keepsCache: true)
    static let blob = SQL("SELECT size, created_at, used_at FROM blobs WHERE sha256 = ?")
    static let saveBlob = SQL(
      """
      INSERT INTO blobs (sha256, size, created_at, used_at) VALUES (?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET size = excluded.size, created_at = excluded.created_at, used_at = excluded.used_at
      """)
  }

  /// The job has something to package.
  func noteFiles(of job: JobID) throws { try connection.execute(Statements.noteFiles, [.id(job)]) }

  func forEachArtifact(of job: JobID, tryNumber: Int, _ body: (ArtifactRecord) throws -> Void) throws {
    try connection.forEach(Statements.artifacts, [.id(job), .integer(tryNumber)]) { row in
      try body(
        ArtifactRecord(job: job, tryNumber: tryNumber, path: row.text(0), size: row.int64(1), sha256: row.text(2)))
    }
  }

  func artifact(of job: JobID, tryNumber: Int, path: String) throws -> ArtifactRecord? {
    try connection.first(Statements.artifact, [.id(job), .integer(tryNumber), .string(path)]) { row in
      ArtifactRecord(job: job, tryNumber: tryNumber, path: path, size: row.int64(0), sha256: row.text(1))
    }
  }

  func save(_ artifact: ArtifactRecord) throws {
    try connection.execute(
      Statements.saveArtifact,
      [
        .id(artifact.job), .integer(artifact.tryNumber), .string(artifact.path), .int64(artifact.size),
        .string(artifact.sha256),
      ])
    try noteFiles(of: artifact.job)
  }

  func removeArtifacts(of job: JobID, limit: Int) throws -> Int {
    try connection.execute(Statements.removeArtifacts, [.id(job), .integer(max(0, limit))])
    return connection.changes
  }

  func package(of job: JobID) throws -> PackageRecord? {
    try connection.first(Statements.package, [.id(job)]) { row in
      PackageRecord(job: job, size: row.int64(0), sha256: row.text(1), createdAt: row.time(2))
    }
  }

  private func packageSize(of job: JobID) throws -> Int64 {
    try connection.first(Statements.packageSize, [.id(job)]) { $0.int64(0) } ?? 0
  }

  func save(_ package: PackageRecord) throws {
    try addStored(package.size - (try packageSize(of: package.job)), of: package.job)
    try connection.execute(
      Statements.savePackage,
      [
        .id(package.job), .int64(package.size), .string(package.sha256), .time(package.createdAt),
      ])
    try connection.execute(Statements.markPackaged, [.flag(true), .id(package.job)])
  }

  func removePackage(of job: JobID) throws {
    try addStored(-packageSize(of: job), of: job)
    try connection.execute(Statements.removePackage, [.id(job)])
    try connection.execute(Statements.markPackaged, [.flag(false), .id(job)])
  }

  func blob(_ sha256: String) throws -> BlobRecord? {
    try connection.first(Statements.blob, [.string(sha256)]) {
      BlobRecord(sha256: sha256, size: $0.int64(0), createdAt: $0.time(1), usedAt: $0.time(2))
    }
  }

  func save(_ blob: BlobRecord) throws {
    try connection.execute(
      Statements.saveBlob, [.string(blob.sha256), .int64(blob.size), .time(blob.createdAt), .time(blob.usedAt)])
  }
}
