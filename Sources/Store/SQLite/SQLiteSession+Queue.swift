import Cryptography
import JSON
import Marketplace

extension SQLiteSession {
  private enum Statements {
    static let classByDigest = SQL("SELECT id FROM classes WHERE digest = ?")
    static let insertClass = SQL("INSERT INTO classes (digest, requirements, pending, ready) VALUES (?, ?, 0, 0)")
    static let classCount = SQL("SELECT pending, ready FROM classes WHERE id = ?")
    static let pendingClasses = SQL("SELECT id, ready FROM classes WHERE pending > 0 ORDER BY id")
    static let requirements = SQL("SELECT requirements FROM classes WHERE id = ?")
    static let head = SQL(
      """
      SELECT rank, key FROM jobs INDEXED BY jobs_queue WHERE state = 0 AND ready = 1 AND class = ? AND rank <= ?
      ORDER BY rank, key LIMIT ?
      """)
    static let nextAvailable = SQL("SELECT min(available_at) FROM jobs WHERE state = 0 AND ready = 0")
    static let due = SQL(
      """
      SELECT key, class FROM jobs WHERE state = 0 AND ready = 0 AND available_at <= ?
      ORDER BY available_at LIMIT ?
      """)
    static let release = SQL("UPDATE jobs SET ready = 1 WHERE key = ?", keepsCache: true)
  }

  /// One call of `releaseAvailable` makes at most this many claimable, so that the writer is not held for long.
  static let releaseLimit = 10_000

  // MARK: Classes

  /// The number of a requirement class; made when it is new.
  func classID(of requirements: Requirements) throws -> Int64 {
    let cache = try writing()
    if let id = cache.classIDs[requirements] { return id }
    let json = requirements.json
    let digest = SQLValue.bytes(SHA256.hash(json.canonical).bytes)
    var id = try connection.first(Statements.classByDigest, [digest]) { $0.int64(0) }
    if id == nil {
      try connection.execute(Statements.insertClass, [digest, .string(json.text)])
      id = connection.lastInsertedKey
    }
    guard let id else { throw StoreError.failed("class without a number") }
    cache.classIDs[requirements] = id
    return id
  }

  func storedClassCount(_ id: Int64) throws -> WriterCache.ClassCount {
    try connection.first(Statements.classCount, [.int64(id)]) {
      WriterCache.ClassCount(pending: $0.int(0), ready: $0.int(1))
    }
      ?? WriterCache.ClassCount(pending: 0, ready: 0)
  }

  func pendingClasses() throws -> [PendingClass] {
    try flush()
    let rows = try connection.all(Statements.pendingClasses) { (id: $0.int64(0), ready: $0.int(1)) }
    return try rows.map { PendingClass(id: $0.id, requirements: try requirements(ofClass: $0.id), ready: $0.ready) }
  }

  private func requirements(ofClass id: Int64) throws -> Requirements {
    if let known = requirements[id] { return known }
    let json = try connection.first(Statements.requirements, [.int64(id)]) { try $0.json(0) }
    guard let json, let found = Requirements(json: json) else { throw StoreError.damaged("class \(id)") }
    if requirements.count >= Self.requirementsLimit { requirements = [:] }
    requirements[id] = found
    return found
  }

  // MARK: Claiming

  func claimable(classes: [Int64], limit: Int) throws -> [Job] {
    guard limit > 0 else { return [] }
    var head: [(rank: Int64, key: Int64)] = []
    for id in Set(classes) {
      // Later classes can only add what stands before the last of the best so far.
      let worst = head.count == limit ? head[limit - 1].rank : .max
      let more = try connection.all(Statements.head, [.int64(id), .int64(worst), .integer(limit)]) {
        (rank: $0.int64(0), key: $0.int64(1))
      }
      guard !more.isEmpty else { continue }
      head = Array((head + more).sorted { $0 < $1 }.prefix(limit))
    }
    return try jobs(keys: head.map(\.key))
  }

  // MARK: Waiting for their time

  func nextAvailable() throws -> Timestamp? {
    try connection.first(Statements.nextAvailable) { $0.optionalTime(0) } ?? nil
  }

  func releaseAvailable(at now: Timestamp) throws -> Int {
    let cache = try writing()
    let due = try connection.all(Statements.due, [.time(now), .integer(Self.releaseLimit)]) {
      (key: $0.int64(0), classID: $0.int64(1))
    }
    for row in due {
      try connection.execute(Statements.release, [.int64(row.key)])
      try cache.add(.init(pending: 0, ready: 1), toClass: row.classID) { try storedClassCount(row.classID) }
    }
    // Rows read earlier say that they wait.
    if !due.isEmpty {
      cache.rows.removeAll()
      cache.hot.forgetJobs()
    }
    return due.count
  }
}

extension Requirements {
  /// The stored form; equal requirements have equal canonical bytes.
  var json: JSONValue {
    .object(JSONObject([("runner", .string(runner)), ("constraints", constraints.json)]))
  }

  init?(json: JSONValue) {
    guard let runner = json["runner"]?.string, let constraints = json["constraints"] else { return nil }
    self.init(runner: runner, constraints: Constraints(json: constraints))
  }
}
