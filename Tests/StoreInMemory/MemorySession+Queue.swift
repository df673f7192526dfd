import Marketplace
import Store

/// The queue as its owners see and order it, and what is held back.
extension MemorySession {
  private func place(_ row: StoredJob) -> QueuePlace { QueuePlace(job: row.job.id, rank: row.job.rank, tie: row.key) }

  /// First in the queue first.
  private func places(_ isWanted: (Job) -> Bool) -> [QueuePlace] {
    waiting.filter { isWanted($0.job) }.map(place).sorted()
  }

  func queue(account: AccountID, cursor: String?, limit: Int) throws -> QueuePage {
    let after = try cursor.map(Self.bound)
    let limit = min(max(1, limit), 500)
    let rest = places { $0.account == account }.filter { place in after.map { $0 < (place.rank, place.tie) } ?? true }
    let page = rest.prefix(limit)
    return QueuePage(
      jobs: page.compactMap { tables.jobs[$0.job]?.value.job },
      nextCursor: rest.count > limit ? page.last.map { "\($0.rank) \($0.tie)" } : nil)
  }

  private static func bound(_ cursor: String) throws(InvalidCursor) -> (Int64, Int64) {
    let numbers = cursor.split(separator: " ", omittingEmptySubsequences: false).map { Int64($0) }
    guard numbers.count == 2, let rank = numbers[0], let tie = numbers[1] else { throw InvalidCursor() }
    return (rank, tie)
  }

  func queuePlace(of job: JobID) throws -> QueuePlace? {
    guard let row = tables.jobs[job]?.value, row.job.state == .pending else { return nil }
    return place(row)
  }

  func lane(_ lane: QueueLane, after place: QueuePlace?, limit: Int) throws -> [QueuePlace] {
    let all = places { $0.account == lane.account && $0.priority == lane.priority }
    return Array(all.filter { other in place.map { $0 < other } ?? true }.prefix(max(0, limit)))
  }

  func lane(_ lane: QueueLane, before place: QueuePlace?, limit: Int) throws -> [QueuePlace] {
    let all = places { $0.account == lane.account && $0.priority == lane.priority }
    return Array(all.reversed().filter { other in place.map { other < $0 } ?? true }.prefix(max(0, limit)))
  }

  func setRank(_ rank: Int64, of job: JobID) throws {
    guard var row = tables.jobs[job]?.value, row.job.state == .pending else { throw failed("\(job) does not wait") }
    row.job.rank = rank
    put(row)
  }

  func noteBorrowed(_ start: Int64, by job: JobID) throws { change(job) { $0.borrowed = start } }

  func borrowedPlaces(account: AccountID, after virtualTime: Int64, limit: Int) throws -> Int {
    let count = tables.jobs.values.count { row in
      row.value.job.account == account && row.value.borrowed.map { $0 > virtualTime } ?? false
    }
    return min(max(0, limit), count)
  }

  // MARK: Held back

  func accountsHeldBack() throws -> [AccountID] {
    Set(waiting.filter(\.isHeldBack).map(\.job.account)).sorted()
  }

  func holdBack(_ jobs: [JobID]) throws {
    for id in jobs {
      guard let row = tables.jobs[id]?.value else { throw failed("no job \(id)") }
      guard row.isReady else { continue }
      change(id) { row in
        row.isReady = false
        row.isHeldBack = true
      }
    }
  }

  func releaseHeldBack(account: AccountID, limit: Int) throws -> Int {
    let found = waiting.filter { $0.isHeldBack && $0.job.account == account }
      .sorted { ($0.job.rank, $0.key) < ($1.job.rank, $1.key) }.prefix(max(0, limit))
    for row in found {
      change(row.job.id) { row in
        row.isReady = true
        row.isHeldBack = false
      }
    }
    return found.count
  }

  func runTimes() throws -> [RunTime] {
    tables.runTimes.sorted { (tables.classes[$0.key] ?? 0) < (tables.classes[$1.key] ?? 0) }
      .map { RunTime(requirements: $0.key, mean: $0.value) }
  }

  func save(_ runTime: RunTime) throws {
    _ = classID(of: runTime.requirements)
    tables.runTimes[runTime.requirements] = runTime.mean
  }
}
