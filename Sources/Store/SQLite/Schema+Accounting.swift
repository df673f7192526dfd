extension Schema {
  /// Names of keys, miners that poll, prices agreed at the claim, balances of the ledger, refused reports.
  static let accounting = """
    ALTER TABLE api_keys ADD COLUMN name TEXT;

    ALTER TABLE miners ADD COLUMN is_polling INTEGER NOT NULL DEFAULT 0;

    ALTER TABLE tries ADD COLUMN price INTEGER;

    CREATE TABLE balances (
      party TEXT PRIMARY KEY,
      amount INTEGER NOT NULL,
      lines INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    INSERT INTO balances (party, amount, lines) SELECT party, sum(amount), count(*) FROM ledger GROUP BY party;

    CREATE TABLE refused_reports (
      job TEXT NOT NULL,
      try INTEGER NOT NULL,
      miner TEXT NOT NULL,
      kind TEXT NOT NULL,
      sha256 TEXT NOT NULL,
      reason TEXT NOT NULL,
      first_at INTEGER NOT NULL,
      last_at INTEGER NOT NULL,
      count INTEGER NOT NULL,
      PRIMARY KEY (job, try, miner, kind, sha256)
    ) STRICT, WITHOUT ROWID;
    """
}
