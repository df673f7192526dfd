extension Schema {
  /// Chains of reruns, lanes of the queue, jobs held back for their account's limit, run times.
  static let queueTables = """
    ALTER TABLE jobs ADD COLUMN chain TEXT;
    ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE jobs ADD COLUMN borrowed INTEGER;
    UPDATE jobs SET priority = coalesce((
      SELECT CASE json_extract(body, '$.priority') WHEN 'low' THEN 0 WHEN 'high' THEN 2 WHEN 'urgent' THEN 3 ELSE 1 END
      FROM specifications WHERE specifications.job = jobs.key), 1);
    CREATE INDEX jobs_chain ON jobs (chain, attempt) WHERE chain IS NOT NULL;
    CREATE INDEX jobs_lane ON jobs (account, priority, rank) WHERE state = 0;
    CREATE INDEX jobs_borrowed ON jobs (account, borrowed) WHERE borrowed IS NOT NULL;
    CREATE INDEX jobs_held_back ON jobs (account, rank) WHERE state = 0 AND ready = 2;

    CREATE TABLE rerun_chains (
      root TEXT PRIMARY KEY,
      latest_job TEXT NOT NULL,
      last_attempt INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE run_times (
      class INTEGER PRIMARY KEY,
      mean INTEGER NOT NULL
    ) STRICT;
    """
}
