import Clocks
import Marketplace
import Store

/// Jobs and the queue.
extension MemorySession {
  func job(_ id: JobID) throws -> Job? { tables.jobs[id]?.value.job }

  func insert(_ job: Job) throws {
    guard tables.jobs[job.id] == nil else { throw failed("job \(job.id) is there") }
    let row = StoredJob(
      job: job, key: tables.nextKey, classID: classID(of: Requirements(of: job.specification)),
      isReady: job.state == .pending && job.availableAt <= max(job.createdAt, clock.now))
    tables.nextKey += 1
    put(row)
  }

  func update(_ job: Job) throws {
    guard var row = tables.jobs[job.id]?.value else { throw failed("no job \(job.id)") }
    var job = job
    if sabotage.contains(.triesAreNotCounted), job.state == .pending, job.triesUsed > 0 { job = job.uncounted() }
    row.job = job
    row.isReady = job.state == .pending && job.availableAt <= clock.now
    put(row)
  }

  private func put(_ row: StoredJob) {
    tables.jobs[row.job.id] = Row(row)
    if row.job.state == .pending {
      tables.pending.insert(row.job.id)
    } else {
      tables.pending.remove(row.job.id)
    }
  }

  func change(_ id: JobID, _ body: (inout StoredJob) -> Void) {
    guard var row = tables.jobs[id]?.value else { return }
    body(&row)
    put(row)
  }

  private func classID(of requirements: Requirements) -> Int64 {
    if let id = tables.classes[requirements] { return id }
    let id = Int64(tables.classes.count) + 1
    tables.classes[requirements] = id
    return id
  }

  private var waiting: [StoredJob] { tables.pending.compactMap { tables.jobs[$0]?.value } }

  func pendingCount(account: AccountID) throws -> Int { waiting.count { $0.job.account == account } }

  func counts() throws -> [JobState: Int] {
    tables.jobs.values.reduce(into: [:]) { $0[$1.value.job.state, default: 0] += 1 }
  }

  func attempts(account: AccountID, runKey: String) throws -> [Job] {
    tables.jobs.values.map(\.value).filter { $0.job.account == account && $0.job.specification.runKey == runKey }
      .sorted { ($0.job.attempt, $0.key) > ($1.job.attempt, $1.key) }.map(\.job)
  }

  // MARK: The queue

  func pendingClasses() throws -> [PendingClass] {
    var pending: Set<Int64> = []
    var ready: [Int64: Int] = [:]
    for row in waiting {
      pending.insert(row.classID)
      if row.isReady { ready[row.classID, default: 0] += 1 }
    }
    return tables.classes.filter { pending.contains($0.value) }.sorted { $0.value < $1.value }
      .map { PendingClass(id: $0.value, requirements: $0.key, ready: ready[$0.value] ?? 0) }
  }

  func claimable(classes: [Int64], limit: Int) throws -> [Job] {
    let wanted = Set(classes)
    return waiting.filter { $0.isReady && wanted.contains($0.classID) }
      .sorted { ($0.job.rank, $0.key) < ($1.job.rank, $1.key) }.prefix(max(0, limit)).map(\.job)
  }

  func queuePosition(of job: Job) throws -> Int {
    guard let place = tables.jobs[job.id]?.value else { return 0 }
    return waiting.count {
      $0.isReady && $0.classID == place.classID && ($0.job.rank, $0.key) < (place.job.rank, place.key)
    }
  }

  func nextAvailable() throws -> Timestamp? { waiting.filter { !$0.isReady }.map(\.job.availableAt).min() }

  func releaseAvailable(at now: Timestamp) throws -> Int {
    let due = waiting.filter { !$0.isReady && $0.job.availableAt <= now }
    for row in due { change(row.job.id) { $0.isReady = true } }
    return due.count
  }

  // MARK: Maintenance

  func expiring(at now: Timestamp, limit: Int) throws -> [Job] {
    waiting.filter { $0.job.expiresAt <= now }.sorted { ($0.job.expiresAt, $0.key) < ($1.job.expiresAt, $1.key) }
      .prefix(max(0, limit)).map(\.job)
  }

  func retentionDue(at now: Timestamp, limit: Int) throws -> [Job] {
    tables.jobs.values.map(\.value)
      .compactMap { row in row.job.resultExpiresAt.map { (at: $0, row: row) } }
      .filter { $0.at <= now && $0.row.job.resultPurgedAt == nil }
      .sorted { ($0.at, $0.row.key) < ($1.at, $1.row.key) }.prefix(max(0, limit)).map(\.row.job)
  }

  func jobsToPackage(limit: Int) throws -> [JobID] {
    tables.jobs.values.map(\.value)
      .compactMap { row in row.job.completedAt.map { (at: $0, row: row) } }
      .filter { $0.row.leftFiles && !$0.row.isPackaged && $0.row.job.resultPurgedAt == nil }
      .sorted { ($0.at, $0.row.key) < ($1.at, $1.row.key) }.prefix(max(0, limit)).map(\.row.job.id)
  }
}

extension Job {
  /// As if it had never been tried.
  fileprivate func uncounted() -> Job {
    var record = JobRecord(
      state: state, expiresAt: expiresAt, availableAt: availableAt, rank: rank, lastTry: lastTry, triesUsed: 0,
      progress: progress, cost: cost)
    record.error = error
    record.cancel = cancel
    return Job(restoring: self, from: record)
  }
}
