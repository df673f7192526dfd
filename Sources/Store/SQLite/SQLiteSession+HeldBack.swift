import Marketplace

/// Jobs whose account runs as many as it may, and how long jobs take.
extension SQLiteSession {
  private enum Statements {
    static let nextAccount = SQL(
      """
      SELECT account FROM jobs INDEXED BY jobs_held_back WHERE state = 0 AND ready = 2 AND account > ?
      ORDER BY account LIMIT 1
      """)
    static let heldBack = SQL(
      """
      SELECT key, class FROM jobs INDEXED BY jobs_held_back WHERE state = 0 AND ready = 2 AND account = ?
      ORDER BY rank, key LIMIT ?
      """)
    static let setReady = SQL("UPDATE jobs SET ready = ? WHERE key = ?")
    static let runTimes = SQL("SELECT c.requirements, t.mean FROM run_times t JOIN classes c ON c.id = t.class")
    static let saveRunTime = SQL(
      "INSERT INTO run_times (class, mean) VALUES (?, ?) ON CONFLICT DO UPDATE SET mean = excluded.mean")
  }

  func heldCount(account: AccountID) throws -> Int {
    try JobState.allCases.filter(\.isHeld).reduce(0) { try $0 + count(account, $1) }
  }

  func accountsHeldBack() throws -> [AccountID] {
    var found: [AccountID] = []
    while true {
      let last = found.last?.rawValue ?? ""
      let next: AccountID? = try connection.first(Statements.nextAccount, [.string(last)]) { try $0.id(0) }
      guard let next else { return found }
      found.append(next)
    }
  }

  func holdBack(_ jobs: [JobID]) throws {
    let cache = try writing()
    for id in jobs {
      var row = try row(of: id)
      guard row.isReady else { continue }
      try connection.execute(Statements.setReady, [.int64(ReadyCode.heldBack), .int64(row.key)])
      try cache.add(.init(pending: 0, ready: -1), toClass: row.classID) { try storedClassCount(row.classID) }
      row.isReady = false
      cache.rows[id] = row
    }
  }

  func releaseHeldBack(account: AccountID, limit: Int) throws -> Int {
    let cache = try writing()
    let found = try connection.all(Statements.heldBack, [.id(account), .integer(max(0, limit))]) {
      (key: $0.int64(0), classID: $0.int64(1))
    }
    for row in found {
      try connection.execute(Statements.setReady, [.int64(ReadyCode.ready), .int64(row.key)])
      try cache.add(.init(pending: 0, ready: 1), toClass: row.classID) { try storedClassCount(row.classID) }
    }
    // Rows read earlier in this operation say that they wait.
    if !found.isEmpty { cache.rows.removeAll() }
    return found.count
  }

  func runTimes() throws -> [RunTime] {
    try connection.all(Statements.runTimes) { row in
      guard let requirements = Requirements(json: try row.json(0)) else { throw StoreError.damaged("run times") }
      return RunTime(requirements: requirements, mean: Seconds(milliseconds: row.int64(1)))
    }
  }

  func save(_ runTime: RunTime) throws {
    let id = try classID(of: runTime.requirements)
    try connection.execute(Statements.saveRunTime, [.int64(id), .int64(runTime.mean.milliseconds)])
  }
}
