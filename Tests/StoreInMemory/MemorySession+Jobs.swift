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
    tables.inputs[job.id] = job.specification.inputs.isEmpty ? nil : Set(job.specification.inputs.map(\.sha256))
    put(row)
  }

  func update(_ job: Job) throws {
    guard var row = tables.jobs[job.id]?.value else { throw failed("no job \(job.id)") }
    var job = job
    if sabotage.contains(.triesAreNotCounted), job.state == .pending, job.triesUsed > 0 { job = job.uncounted() }
    if job.state.isTerminal, !row.job.state.isTerminal { addUp(job) }
    row.job = job
    row.isReady = job.state == .pending && job.availableAt <= clock.now
    row.isHeldBack = false
    put(row)
  }

  func put(_ row: StoredJob) {
    tables.jobs[row.job.id] = Row(row)
    if row.job.state == .pending {
      tables.pending.insert(row.job.id)
    } else {
      tables.pending.remove(row.job.id)
    }
    if row.job.state.isTerminal { tables.active.remove(row.job.id) } else { tables.active.insert(row.job.id) }
  }

  /// A job has just ended.
  private func addUp(_ job: Job) {
    var sums = tables.sums[job.account] ?? AccountTotals()
    sums.spent = Money(micros: sums.spent.micros + job.cost.micros)
    if job.state == .completed {
      sums.completed += 1
      if let started = job.startedAt, let ended = job.completedAt {
        sums.runTime += max(0, ended.millisecondsSince(started))
      }
    }
    tables.sums[job.account] = sums
  }

  func change(_ id: JobID, _ body: (inout StoredJob) -> Void) {
    guard var row = tables.jobs[id]?.value else { return }
    body(&row)
    put(row)
  }

  func classID(of requirements: Requirements) -> Int64 {
    if let id = tables.classes[requirements] { return id }
    let id = Int64(tables.classes.count) + 1
    tables.classes[requirements] = id
    return id
  }

  var waiting: [StoredJob] { tables.pending.compactMap { tables.jobs[$0]?.value } }

  private func activeCount(of account: AccountID, _ isCounted: (JobState) -> Bool) -> Int {
    tables.active.count { id in
      tables.jobs[id].map { $0.value.job.account == account && isCounted($0.value.job.state) } ?? false
    }
  }

  func pendingCount(account: AccountID) throws -> Int { waiting.count { $0.job.account == account } }
  func heldCount(account: AccountID) throws -> Int { activeCount(of: account, \.isHeld) }
  func activeCount(account: AccountID) throws -> Int { activeCount(of: account) { _ in true } }

  func totals(account: AccountID) throws -> AccountTotals {
    var totals = tables.sums[account] ?? AccountTotals()
    totals.stored = tables.packages.values.filter { tables.jobs[$0.job]?.value.job.account == account }
      .reduce(0) { $0 + $1.size }
    return totals
  }

  func counts(account: AccountID) throws -> [JobState: Int] {
    tables.jobs.values.filter { $0.value.job.account == account }
      .reduce(into: [:]) { $0[$1.value.job.state, default: 0] += 1 }
  }

  func counts() throws -> [JobState: Int] {
    tables.jobs.values.reduce(into: [:]) { $0[$1.value.job.state, default: 0] += 1 }
  }

  func oldestPending() throws -> Timestamp? { waiting.map(\.job.createdAt).min() }

  func attempts(_ chain: AttemptChain, below number: Int?, limit: Int) throws -> [Job] {
    tables.jobs.values.map(\.value).filter { row in
      let isOfChain =
        switch chain {
        case .runKey(let key, let account): row.job.account == account && row.job.specification.runKey == key
        // The first attempt did not know that others would follow.
        case .reruns(let root): row.job.chain == root || row.job.id == root
        }
      return isOfChain && row.job.attempt < number ?? .max
    }.sorted { ($0.job.attempt, $0.key) > ($1.job.attempt, $1.key) }.prefix(max(0, limit)).map(\.job)
  }

  func rerunChain(root: JobID) throws -> RerunChainRecord? { tables.chains[root] }
  func save(_ chain: RerunChainRecord) throws { tables.chains[chain.root] = chain }

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

  func queuePosition(of job: Job) throws -> QueuePosition {
    guard let place = tables.jobs[job.id]?.value else { return QueuePosition(before: 0) }
    let others = waiting.filter { $0.isReady && $0.classID == place.classID && $0.key != place.key }
    let before = others.count { ($0.job.rank, $0.key) < (place.job.rank, place.key) }
    let limit = QueuePosition.countLimit
    return before < limit || others.count - before < limit
      ? QueuePosition(before: before) : QueuePosition(before: limit, isMinimum: true)
  }

  func queuePositions(of jobs: [Job]) throws -> [JobID: QueuePosition] {
    Dictionary(try jobs.map { ($0.id, try queuePosition(of: $0)) }, uniquingKeysWith: { first, _ in first })
  }

  private var early: [StoredJob] { waiting.filter { !$0.isReady && !$0.isHeldBack } }

  func nextAvailable() throws -> Timestamp? { early.map(\.job.availableAt).min() }

  func releaseAvailable(at now: Timestamp) throws -> Int {
    let due = early.filter { $0.job.availableAt <= now }
    for row in due { change(row.job.id) { $0.isReady = true } }
    return due.count
  }

  // MARK: Maintenance

  func expiring(at now: Timestamp, limit: Int) throws -> [Job] {
    waiting.filter { $0.job.expiresAt <= now }.sorted { ($0.job.expiresAt, $0.key) < ($1.job.expiresAt, $1.key) }
      .prefix(max(0, limit)).map(\.job)
  }

  func retentionDue(at now: Timestamp, limit: Int) throws -> [Job] {
    let extended = Set(tables.extensions.map(\.account))
    return tables.jobs.values.map(\.value)
      .compactMap { row in row.job.resultExpiresAt.map { (at: $0, row: row) } }
      .filter { $0.at <= now && $0.row.job.resultPurgedAt == nil && !extended.contains($0.row.job.account) }
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
    record.priority = priority
    record.error = error
    record.cancel = cancel
    return Job(restoring: self, from: record)
  }
}
