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
    static let between = SQL(
      """
      SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY jobs_queue WHERE state = 0 AND ready = 1 AND class = ?
      AND (rank, key) >= (?, ?) AND (rank, key) < (?, ?) LIMIT ?)
      """)
  }

  /// A job's place in its class.
  private struct Place {
    let job: JobID
    let key: Int64
    let classID: Int64
    let rank: Int64
    let isReady: Bool

    static func isBefore(_ left: Self, _ right: Self) -> Bool { (left.rank, left.key) < (right.rank, right.key) }
  }

  func queuePosition(of job: Job) throws -> QueuePosition {
    try place(of: job.id).map(position) ?? QueuePosition(before: 0)
  }

  func queuePositions(of jobs: [Job]) throws -> [JobID: QueuePosition] {
    var positions = Dictionary(jobs.map { ($0.id, QueuePosition(before: 0)) }, uniquingKeysWith: { first, _ in first })
    let places = try positions.keys.compactMap(place)
    for places in Dictionary(grouping: places, by: \.classID).values {
      try addPositions(of: places.sorted(by: Place.isBefore), to: &positions)
    }
    return positions
  }

  /// From each to the next, rather than each from an end; `places` are of one class, in its order.
  private func addPositions(of places: [Place], to positions: inout [JobID: QueuePosition]) throws {
    guard let first = places.first, let last = places.last else { return }
    var known = (place: first, position: try position(first))
    // Between two that are far from both ends, all are.
    let isMiddle = try known.position.isMinimum && position(last).isMinimum
    for place in places {
      if !isMiddle { known = (place, try position(place, after: known.place, known.position)) }
      positions[place.job] = known.position
    }
  }

  private func position(_ place: Place, after other: Place, _ known: QueuePosition) throws -> QueuePosition {
    if place.key == other.key { return known }
    let step = QueuePosition.countLimit - known.before
    guard !known.isMinimum, step > 0 else { return try position(place) }
    let bounds: [SQLValue] = [
      .int64(place.classID), .int64(other.rank), .int64(other.key), .int64(place.rank), .int64(place.key),
    ]
    let between = try connection.first(Statements.between, bounds + [.integer(step)]) { $0.int(0) } ?? 0
    return between < step ? QueuePosition(before: known.before + between) : try position(place)
  }

  private func place(of job: JobID) throws -> Place? {
    try connection.first(Statements.place, [.id(job)]) {
      Place(
        job: job, key: $0.int64(0), classID: $0.int64(1), rank: $0.int64(2), isReady: $0.int64(3) == ReadyCode.ready)
    }
  }

  /// Counts from the job to both ends of its class and takes what ends first: jobs just submitted stand near the end,
  /// jobs soon claimed near the head. In the middle of a long queue it gives up.
  private func position(_ place: Place) throws -> QueuePosition {
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
