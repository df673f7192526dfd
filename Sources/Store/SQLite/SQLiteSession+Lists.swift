import Marketplace

extension SQLiteSession {
  /// A page holds at most this many jobs, whatever is asked for.
  static let pageLimit = 500
  /// A page ends when the specifications and results in it have this many bytes: each job may have megabytes.
  static let pageBytes = 4 << 20

  func jobs(_ query: JobQuery) throws -> JobPage {
    // Checked before anything is read: a bad cursor is the caller's mistake.
    let cursor = try query.cursor.map { try JobListCursor($0, sort: query.sort) }
    let limit = min(max(1, query.limit), Self.pageLimit)
    var found = try places(query, after: cursor, limit: limit + 1)
    var next: String?
    if found.count > limit {
      found.removeLast()
      next = found.last?.text
    }
    let jobs = try jobs(found.map(\.key), bytes: Self.pageBytes)
    if jobs.count < found.count { next = found[jobs.count - 1].text }
    let total = query.countsTotal ? try total(of: query) : jobs.count
    return JobPage(jobs: jobs, total: total, nextCursor: next)
  }

  private func places(_ query: JobQuery, after cursor: JobListCursor?, limit: Int) throws -> [JobListCursor] {
    var found: [JobListCursor] = []
    var offset = max(0, query.offset)
    let parts: [JobListSQL.Part] = query.sort.isByEnd ? [.first, .withoutEnd] : [.first]
    for part in parts where part.rawValue >= cursor?.part ?? 0 && found.count < limit {
      let sql = JobListSQL(query, part: part)
      let (text, values) = sql.page(after: cursor?.part == part.rawValue ? cursor : nil)
      let more = try connection.all(
        dynamic: text, values + [.integer(limit - found.count), .integer(offset)]
      ) { JobListCursor(sort: query.sort, part: part.rawValue, value: $0.int64(0), key: $0.int64(1)) }
      found += more
      if !more.isEmpty {
        offset = 0
      } else if offset > 0 {
        offset = max(0, offset - (try count(sql, query, cursor, part)))
      }
    }
    return found
  }

  /// How many an offset skips in a part that it skips wholly.
  private func count(
    _ sql: JobListSQL, _ query: JobQuery, _ cursor: JobListCursor?, _ part: JobListSQL.Part
  ) throws -> Int {
    let (text, values) =
      cursor?.part == part.rawValue
      ? sql.page(after: cursor) : sql.page(after: nil)
    let all: [SQLValue] = [.int64(-1), .int64(0)]
    return try connection.all(dynamic: "SELECT count(*) FROM (\(text))", values + all) { $0.int(0) }.first ?? 0
  }

  private func total(of query: JobQuery) throws -> Int {
    let isCounted = query.labels.isEmpty && (query.text ?? "").isEmpty && query.from == nil && query.until == nil
    if isCounted {
      let states = query.states.isEmpty ? Set(JobState.allCases) : query.states
      return try states.reduce(0) { try $0 + count(query.account, $1) }
    }
    var plain = query
    plain.sort = .newest
    let (text, values) = JobListSQL(plain, part: .first).count()
    return try connection.all(dynamic: text, values) { $0.int(0) }.first ?? 0
  }
}
