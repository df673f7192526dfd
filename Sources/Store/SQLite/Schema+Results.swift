import GRDB

/// Migration 4: shares, removal of results, references to inputs, sums of each account.
extension Schema {
  static func addResults(_ database: Database) throws {
    try database.execute(sql: resultTables)
    try database.execute(sql: resultBackfill)
  }

  private static let resultTables = """
    CREATE TABLE shares (
      id TEXT PRIMARY KEY,
      token_hash TEXT NOT NULL UNIQUE,
      grant_secret BLOB NOT NULL,
      job TEXT NOT NULL,
      account TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      expires_at INTEGER NOT NULL,
      max_downloads INTEGER,
      downloads INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX shares_job ON shares (job, id);

    CREATE TABLE purges (
      job TEXT PRIMARY KEY
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE retention_extensions (
      key INTEGER PRIMARY KEY,
      account TEXT NOT NULL,
      retention INTEGER NOT NULL,
      completed_until INTEGER NOT NULL,
      completed_at INTEGER NOT NULL,
      job INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE job_inputs (
      sha256 TEXT NOT NULL,
      job INTEGER NOT NULL,
      PRIMARY KEY (sha256, job)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX job_inputs_job ON job_inputs (job);

    ALTER TABLE blobs ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX blobs_used ON blobs (used_at);
    CREATE TABLE blob_removals (
      sha256 TEXT PRIMARY KEY
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE account_totals (
      account TEXT PRIMARY KEY,
      completed INTEGER NOT NULL,
      run_time INTEGER NOT NULL,
      spent INTEGER NOT NULL,
      stored INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    """

  private static let resultBackfill = """
    UPDATE blobs SET used_at = created_at;
    INSERT OR IGNORE INTO job_inputs (sha256, job)
      SELECT json_extract(i.value, '$.sha256'), s.job
      FROM specifications s JOIN jobs j ON j.key = s.job, json_each(s.body, '$.inputs') i
      WHERE j.result_purged_at IS NULL;
    INSERT INTO account_totals (account, completed, run_time, spent, stored)
      SELECT j.account, sum(j.state = 4),
        coalesce(sum(CASE WHEN j.state = 4 THEN max(0, j.completed_at - j.started_at) END), 0), sum(j.cost),
        coalesce(sum(p.size), 0)
      FROM jobs j LEFT JOIN packages p ON p.job = j.id WHERE j.completed_at IS NOT NULL GROUP BY j.account;
    """
}
