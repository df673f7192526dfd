import Marketplace

/// Rows that the writer has read or written and is likely to want again: jobs that are not over, tries whose lease is
/// live, miners. What stands here equals the row; a statement that changes such rows by other ways empties it
/// (``SQL/changesHotRows``).
///
/// Bounded by two generations: when the young one is full, it becomes the old one, whose rows that nobody asked for
/// meanwhile are forgotten.
struct HotRows {
  struct HeldJob {
    var job: Job
    var row: WriterCache.JobRow
  }

  private var jobs = Generations<JobID, HeldJob>()
  private var ids = Generations<Int64, JobID>()
  private var tries = Generations<String, TryRecord>()
  private var miners = Generations<MinerID, MinerRecord>()
  /// The try that the running operation wrote last: its end asks for it again.
  private(set) var latestTry: TryRecord?
  /// What the running operation changed; forgotten when the operation is undone.
  private var changedJobs: [JobID] = []
  private var changedTries: [String] = []
  private var changedMiners: [MinerID] = []

  mutating func beginOperation() {
    latestTry = nil
    changedJobs.removeAll(keepingCapacity: true)
    changedTries.removeAll(keepingCapacity: true)
    changedMiners.removeAll(keepingCapacity: true)
  }

  mutating func undoOperation() {
    latestTry = nil
    for id in changedJobs { jobs.remove(id) }
    for hash in changedTries { tries.remove(hash) }
    for id in changedMiners { miners.remove(id) }
  }

  mutating func removeAll() {
    forgetJobs()
    latestTry = nil
    tries = Generations()
    miners = Generations()
  }

  // MARK: Jobs

  mutating func job(_ id: JobID) -> HeldJob? { jobs.value(id) }
  mutating func job(key: Int64) -> HeldJob? { ids.value(key).flatMap { jobs.value($0) } }

  mutating func forgetJobs() {
    jobs = Generations()
    ids = Generations()
  }

  /// A job as it was read.
  mutating func noteRead(_ job: Job, _ row: WriterCache.JobRow) {
    guard row.isSmall, !job.state.isTerminal else { return }
    jobs.set(job.id, HeldJob(job: job, row: row))
    if job.state == .pending { ids.set(row.key, job.id) }
  }

  /// A job as it was written. One that has ended is seldom wanted again.
  mutating func noteWritten(_ job: Job, _ row: WriterCache.JobRow) {
    changedJobs.append(job.id)
    guard row.isSmall, !job.state.isTerminal else { return jobs.remove(job.id) }
    noteRead(job, row)
  }

  // MARK: Tries

  mutating func attempt(_ leaseHash: String) -> TryRecord? { tries.value(leaseHash) }

  mutating func noteRead(_ attempt: TryRecord) {
    if attempt.state == .held { tries.set(attempt.leaseHash, attempt) }
  }

  mutating func noteWritten(_ attempt: TryRecord) {
    latestTry = attempt
    changedTries.append(attempt.leaseHash)
    if attempt.state == .held { tries.set(attempt.leaseHash, attempt) } else { tries.remove(attempt.leaseHash) }
  }

  // MARK: Miners

  mutating func miner(_ id: MinerID) -> MinerRecord? { miners.value(id) }
  mutating func noteRead(_ miner: MinerRecord) { miners.set(miner.id, miner) }
  mutating func noteWritten(_ miner: MinerRecord) {
    changedMiners.append(miner.id)
    miners.set(miner.id, miner)
  }
}

/// A dictionary of at most twice ``limit`` entries that keeps what is used.
private struct Generations<Key: Hashable, Value> {
  private static var limit: Int { 4_096 }
  private var young: [Key: Value] = [:]
  private var old: [Key: Value] = [:]

  mutating func value(_ key: Key) -> Value? {
    if let value = young[key] { return value }
    guard let value = old.removeValue(forKey: key) else { return nil }
    set(key, value)
    return value
  }

  mutating func set(_ key: Key, _ value: Value) {
    if young.count >= Self.limit, young[key] == nil {
      old = young
      young = [:]
    }
    young[key] = value
  }

  mutating func remove(_ key: Key) {
    young.removeValue(forKey: key)
    old.removeValue(forKey: key)
  }
}
