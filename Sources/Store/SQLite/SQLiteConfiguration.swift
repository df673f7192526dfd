import GRDB

/// How connections are opened.
enum SQLiteConfiguration {
  /// Rows read while a checkpoint waits for readers; nobody else ever holds a lock for long.
  private static let busySeconds = 0.25

  static func openWriter(path: String, _ configuration: StoreConfiguration) throws -> DatabaseQueue {
    var options = Configuration()
    options.label = "store-writer"
    options.busyMode = .timeout(busySeconds)
    let queue = try DatabaseQueue(path: path, configuration: options)
    try queue.inDatabase { database in
      try run(
        [
          "journal_mode = WAL",
          // After the journal mode: FULL makes every commit of a write-ahead log wait for the disk.
          "synchronous = FULL",
          "secure_delete = OFF",
          "temp_store = MEMORY",
          "cache_size = -\(configuration.cacheBytes >> 10)",
          "wal_autocheckpoint = \(max(1, configuration.checkpointBytes / 4096))",
          "journal_size_limit = \(configuration.checkpointBytes * 2)",
        ], database)
    }
    return queue
  }

  static func openReader(path: String, _ configuration: StoreConfiguration) throws -> DatabaseQueue {
    var options = Configuration()
    options.label = "store-reader"
    options.readonly = true
    options.busyMode = .timeout(busySeconds)
    let queue = try DatabaseQueue(path: path, configuration: options)
    try queue.inDatabase { database in
      try run(["temp_store = MEMORY", "cache_size = -\(configuration.cacheBytes >> 12)"], database)
    }
    return queue
  }

  /// Reads back what durability rests on. Throws when it is not in force.
  static func verifyDurability(_ queue: DatabaseQueue) throws {
    try queue.inDatabase { database in
      let mode = try String.fetchOne(database, sql: "PRAGMA journal_mode")
      let synchronous = try Int.fetchOne(database, sql: "PRAGMA synchronous")
      guard mode == "wal", synchronous == 2 else {
        throw StoreError.failed("journal_mode is \(mode ?? "?") and synchronous \(synchronous ?? -1), not wal and 2")
      }
    }
  }

  private static func run(_ pragmas: [String], _ database: Database) throws {
    for pragma in pragmas { _ = try String.fetchAll(database, sql: "PRAGMA " + pragma) }
  }
}
