import Cryptography
import Marketplace

/// What ``jobs.ready`` says of a pending job.
enum ReadyCode {
  /// Its time has not come.
  static let waiting: Int64 = 0
  static let ready: Int64 = 1
  /// Its account's jobs fill what its plan allows to run.
  static let heldBack: Int64 = 2
}

/// The queue as its owners see and order it.
extension SQLiteSession {
  enum LaneSQL {
    private static let lane = """
      SELECT id, rank, key FROM jobs INDEXED BY jobs_lane WHERE state = 0 AND account = ? AND priority = ?
      """
    static let after = SQL(lane + " AND (rank, key) > (?, ?) ORDER BY rank, key LIMIT ?")
    static let before = SQL(lane + " AND (rank, key) < (?, ?) ORDER BY rank DESC, key DESC LIMIT ?")
    static let place = SQL("SELECT rank, key FROM jobs WHERE id = ? AND state = 0")
    static let setRank = SQL("UPDATE jobs SET rank = ? WHERE id = ? AND state = 0")
    static let setBorrowed = SQL("UPDATE jobs SET borrowed = ? WHERE id = ?")
    static let borrowed = SQL(
      """
      SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY jobs_borrowed WHERE account = ? AND borrowed IS NOT NULL
      AND borrowed > ? LIMIT ?)
      """)
    /// One search for each lane; merging sorted parts beats sorting.
    static let page = SQL(
      Priority.allCases.map { priority in
        """
        SELECT rank AS r, key AS k FROM jobs INDEXED BY jobs_lane
        WHERE state = 0 AND account = ?1 AND priority = \(priority.rawValue) AND (rank, key) > (?2, ?3)
        """
      }.joined(separator: " UNION ALL ") + " ORDER BY r, k LIMIT ?4")
  }

  func queue(account: AccountID, cursor: String?, limit: Int) throws -> QueuePage {
    let start = try cursor.map(QueueCursor.init) ?? QueueCursor(rank: .min, key: .min)
    let limit = min(max(1, limit), Self.pageLimit)
    var found = try connection.all(
      LaneSQL.page, [.id(account), .int64(start.rank), .int64(start.key), .integer(limit + 1)]
    ) { QueueCursor(rank: $0.int64(0), key: $0.int64(1)) }
    var next: String?
    if found.count > limit {
      found.removeLast()
      next = found.last?.text
    }
    return QueuePage(jobs: try jobs(keys: found.map(\.key)), nextCursor: next)
  }

  func queuePlace(of job: JobID) throws -> QueuePlace? {
    try connection.first(LaneSQL.place, [.id(job)]) { QueuePlace(job: job, rank: $0.int64(0), tie: $0.int64(1)) }
  }

  func lane(_ lane: QueueLane, after place: QueuePlace?, limit: Int) throws -> [QueuePlace] {
    try places(LaneSQL.after, lane, (place?.rank ?? .min, place?.tie ?? .min), limit)
  }

  func lane(_ lane: QueueLane, before place: QueuePlace?, limit: Int) throws -> [QueuePlace] {
    try places(LaneSQL.before, lane, (place?.rank ?? .max, place?.tie ?? .max), limit)
  }

  private func places(
    _ sql: SQL, _ lane: QueueLane, _ bound: (rank: Int64, key: Int64), _ limit: Int
  ) throws -> [QueuePlace] {
    let values: [SQLValue] = [
      .id(lane.account), .integer(lane.priority.rawValue), .int64(bound.rank), .int64(bound.key),
      .integer(max(0, limit)),
    ]
    return try connection.all(sql, values) { row in
      QueuePlace(job: try row.id(0), rank: row.int64(1), tie: row.int64(2))
    }
  }

  func setRank(_ rank: Int64, of job: JobID) throws {
    _ = try writing()
    try connection.execute(LaneSQL.setRank, [.int64(rank), .id(job)])
    guard connection.changes == 1 else { throw StoreError.failed("\(job) does not wait") }
  }

  func borrowedPlaces(account: AccountID, after virtualTime: Int64, limit: Int) throws -> Int {
    try connection.first(
      LaneSQL.borrowed, [.id(account), .int64(virtualTime), .integer(max(0, limit))]
    ) { $0.int(0) } ?? 0
  }

  func noteBorrowed(_ start: Int64, by job: JobID) throws {
    _ = try writing()
    try connection.execute(LaneSQL.setBorrowed, [.int64(start), .id(job)])
  }
}

/// Where a page of the queue ended. Text: Base64URL of rank and key, big-endian.
struct QueueCursor {
  let rank: Int64
  let key: Int64

  init(rank: Int64, key: Int64) {
    self.rank = rank
    self.key = key
  }

  init(_ text: String) throws(InvalidCursor) {
    guard text.utf8.count <= 32, let bytes = Base64URL.decode(text), bytes.count == 16 else { throw InvalidCursor() }
    func number(_ start: Int) -> Int64 {
      Int64(bitPattern: bytes[start..<(start + 8)].reduce(0) { $0 << 8 | UInt64($1) })
    }
    self.init(rank: number(0), key: number(8))
  }

  var text: String {
    var bytes: [UInt8] = []
    for number in [rank, key] { withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) } }
    return Base64URL.encode(bytes)
  }
}
