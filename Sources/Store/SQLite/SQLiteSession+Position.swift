import Marketplace

extension SQLiteSession {
  private enum Statements {
    static let place = SQL("SELECT key, class, rank, ready FROM jobs WHERE id = ?")
    static let before = SQL(
      """
      SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY jobs_queue WHERE state = 0 AND ready = 1 AND class = ?
      AND (rank, key) < (?, ?) LIMIT ?)
      """)
    static let after = SQL(
      """
      SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY jobs_queue WHERE state = 0 AND ready = 1 AND class = ?
      AND (rank, key) > (?, ?) LIMIT ?)
      """)
  }

  /// Counts from the job to both ends of its class and takes what ends first: jobs just submitted stand near the end,
  /// jobs soon claimed near the head. In the middle of a long queue it gives up.
  func queuePosition(of job: Job) throws -> QueuePosition {
    let place = try connection.first(Statements.place, [.id(job.id)]) {
      (key: $0.int64(0), classID: $0.int64(1), rank: $0.int64(2), isReady: $0.int64(3) == ReadyCode.ready)
    }
    guard let place else { return QueuePosition(before: 0) }
    let bound: [SQLValue] = [.int64(place.classID), .int64(place.rank), .int64(place.key)]
    for step in [100, QueuePosition.countLimit] {
      let after = try connection.first(Statements.after, bound + [.integer(step)]) { $0.int(0) } ?? 0
      if after < step {
        let ready = try readyCount(ofClass: place.classID)
        return QueuePosition(before: max(0, ready - after - (place.isReady ? 1 : 0)))
      }
      let before = try connection.first(Statements.before, bound + [.integer(step)]) { $0.int(0) } ?? 0
      if before < step { return QueuePosition(before: before) }
    }
    return QueuePosition(before: QueuePosition.countLimit, isMinimum: true)
  }

  private func readyCount(ofClass id: Int64) throws -> Int {
    guard let cache else { return try storedClassCount(id).ready }
    return try cache.classCount(id) { try storedClassCount(id) }.ready
  }
}
