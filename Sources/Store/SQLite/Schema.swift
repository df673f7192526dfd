import GRDB

/// The database's layout and how older ones become it.
enum Schema {
  /// What this program knows. Kept in `PRAGMA user_version`; one more for each migration.
  static let version = 5

  /// Brings the database up to ``version``. A newer one is left alone: ``StoreError/newerVersion(found:known:)``.
  static func migrate(_ queue: DatabaseQueue, epoch: String) throws {
    let found = try queue.read { try Int.fetchOne($0, sql: "PRAGMA user_version") } ?? 0
    guard found <= version else { throw StoreError.newerVersion(found: found, known: version) }
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1") { database in
      try database.execute(sql: tables)
      try database.execute(sql: "INSERT INTO market (id, epoch, virtual_time) VALUES (0, ?, 0)", arguments: [epoch])
      try database.execute(sql: "PRAGMA user_version = 1")
    }
    migrator.registerMigration("2") { database in
      try database.execute(sql: queueTables)
      try database.execute(sql: "PRAGMA user_version = 2")
    }
    migrator.registerMigration("3") { database in
      try database.execute(sql: accounting)
      try database.execute(sql: "PRAGMA user_version = 3")
    }
    migrator.registerMigration("4") { database in
      try addResults(database)
      try database.execute(sql: "PRAGMA user_version = 4")
    }
    migrator.registerMigration("5") { database in
      try database.execute(sql: trust)
      try database.execute(sql: "PRAGMA user_version = 5")
    }
    try migrator.migrate(queue)
  }

  private static let tables = """
    CREATE TABLE market (
      id INTEGER PRIMARY KEY CHECK (id = 0),
      epoch TEXT NOT NULL,
      virtual_time INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE accounts (
      id TEXT PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      plan TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      virtual_finish INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE api_keys (
      hash TEXT PRIMARY KEY,
      account TEXT NOT NULL REFERENCES accounts (id),
      role TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      revoked_at INTEGER
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE miners (
      id TEXT PRIMARY KEY,
      instance_hash TEXT NOT NULL UNIQUE,
      account TEXT NOT NULL REFERENCES accounts (id),
      name TEXT NOT NULL,
      version TEXT NOT NULL,
      offer TEXT NOT NULL,
      registered_at INTEGER NOT NULL,
      last_seen_at INTEGER NOT NULL,
      is_draining INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    """ + jobTables + historyTables

  /// A job is two rows: what changes, and the specification, which may be long and is never written again.
  private static let jobTables = """
    CREATE TABLE classes (
      id INTEGER PRIMARY KEY,
      digest BLOB NOT NULL UNIQUE,
      requirements TEXT NOT NULL,
      pending INTEGER NOT NULL,
      ready INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX classes_pending ON classes (id) WHERE pending > 0;

    CREATE TABLE jobs (
      key INTEGER PRIMARY KEY,
      id TEXT NOT NULL UNIQUE,
      account TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      attempt INTEGER NOT NULL,
      rerun_of TEXT,
      rerun_reason TEXT,
      run_key TEXT,
      search TEXT,
      class INTEGER NOT NULL,
      state INTEGER NOT NULL,
      ready INTEGER NOT NULL,
      expires_at INTEGER NOT NULL,
      available_at INTEGER NOT NULL,
      rank INTEGER NOT NULL,
      last_try INTEGER NOT NULL,
      tries_used INTEGER NOT NULL,
      miner TEXT,
      assigned_at INTEGER,
      started_at INTEGER,
      completed_at INTEGER,
      progress INTEGER NOT NULL,
      progress_message TEXT,
      cancel_requested_at INTEGER,
      cancel_reason TEXT,
      cancel_grace INTEGER,
      cancel_outcome TEXT,
      error_code TEXT,
      error_message TEXT,
      exit_code INTEGER,
      result TEXT,
      cost INTEGER NOT NULL,
      result_expires_at INTEGER,
      result_purged_at INTEGER,
      left_files INTEGER NOT NULL DEFAULT 0,
      is_packaged INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX jobs_created ON jobs (account, created_at);
    CREATE INDEX jobs_completed ON jobs (account, completed_at);
    CREATE INDEX jobs_state ON jobs (account, state, created_at);
    CREATE INDEX jobs_run_key ON jobs (account, run_key, attempt) WHERE run_key IS NOT NULL;
    CREATE INDEX jobs_queue ON jobs (class, rank) WHERE state = 0 AND ready = 1;
    CREATE INDEX jobs_available ON jobs (available_at) WHERE state = 0 AND ready = 0;
    CREATE INDEX jobs_expiring ON jobs (expires_at) WHERE state = 0;
    CREATE INDEX jobs_retention ON jobs (result_expires_at)
      WHERE result_expires_at IS NOT NULL AND result_purged_at IS NULL;
    CREATE INDEX jobs_to_package ON jobs (completed_at)
      WHERE completed_at IS NOT NULL AND left_files = 1 AND is_packaged = 0 AND result_purged_at IS NULL;

    CREATE TABLE specifications (
      job INTEGER PRIMARY KEY,
      body TEXT NOT NULL
    ) STRICT;

    CREATE TABLE job_labels (
      account TEXT NOT NULL,
      name TEXT NOT NULL,
      value TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      job INTEGER NOT NULL,
      PRIMARY KEY (account, name, value, created_at, job)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE job_counts (
      account TEXT NOT NULL,
      state INTEGER NOT NULL,
      count INTEGER NOT NULL,
      PRIMARY KEY (account, state)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE run_keys (
      account TEXT NOT NULL,
      key TEXT NOT NULL,
      specification_hash TEXT NOT NULL,
      is_strict INTEGER NOT NULL,
      latest_job TEXT NOT NULL,
      last_attempt INTEGER NOT NULL,
      unlock_reason TEXT,
      unlock_granted_at INTEGER,
      unlock_expires_at INTEGER,
      PRIMARY KEY (account, key)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE idempotency (
      account TEXT NOT NULL,
      key TEXT NOT NULL,
      request_hash TEXT NOT NULL,
      status INTEGER NOT NULL,
      body TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      UNIQUE (account, key)
    ) STRICT;
    CREATE INDEX idempotency_created ON idempotency (created_at);

    """

  private static let historyTables = """
    CREATE TABLE tries (
      job TEXT NOT NULL,
      number INTEGER NOT NULL,
      miner TEXT NOT NULL,
      lease_hash TEXT NOT NULL UNIQUE,
      claimed_at INTEGER NOT NULL,
      state TEXT NOT NULL,
      started_at INTEGER,
      ended_at INTEGER,
      exit_code INTEGER,
      error_code TEXT,
      error_message TEXT,
      usage TEXT,
      stdout_length INTEGER,
      stdout_sha256 TEXT,
      stderr_length INTEGER,
      stderr_sha256 TEXT,
      PRIMARY KEY (job, number)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX tries_held ON tries (job, number) WHERE state = 'held';

    CREATE TABLE artifacts (
      job TEXT NOT NULL,
      try INTEGER NOT NULL,
      path TEXT NOT NULL,
      size INTEGER NOT NULL,
      sha256 TEXT NOT NULL,
      PRIMARY KEY (job, try, path)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE packages (
      job TEXT PRIMARY KEY,
      size INTEGER NOT NULL,
      sha256 TEXT NOT NULL,
      manifest TEXT NOT NULL,
      created_at INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE blobs (
      sha256 TEXT PRIMARY KEY,
      size INTEGER NOT NULL,
      created_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE events (
      sequence INTEGER PRIMARY KEY,
      job INTEGER NOT NULL,
      account TEXT NOT NULL,
      at INTEGER NOT NULL,
      state INTEGER NOT NULL,
      attempt INTEGER NOT NULL,
      try INTEGER NOT NULL,
      miner TEXT,
      progress INTEGER NOT NULL,
      error_code TEXT,
      error_message TEXT,
      exit_code INTEGER,
      cancel_outcome TEXT
    ) STRICT;
    CREATE INDEX events_account ON events (account);
    CREATE INDEX events_job ON events (job);

    CREATE TABLE ledger (
      job TEXT NOT NULL,
      kind TEXT NOT NULL,
      party TEXT NOT NULL,
      amount INTEGER NOT NULL,
      at INTEGER NOT NULL,
      PRIMARY KEY (job, kind, party)
    ) STRICT, WITHOUT ROWID;
    """
}
