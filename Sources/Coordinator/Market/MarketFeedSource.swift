import Clocks
import JSON
import Marketplace
import NIOPosix
import Store
import Synchronization
import Wire

/// What the live feed reads, from the store and the files.
final class MarketFeedSource: FeedSource {
  /// Jobs in a snapshot: all active ones up to this, then the newest.
  private static let snapshotLimit = 200

  private let store: any MarketStore
  private let results: ResultFiles
  private let market = Mutex<Market?>(nil)

  var epoch: String { store.epoch }

  init(store: any MarketStore, files: FileStore, blocking: NIOThreadPool) {
    self.store = store
    results = ResultFiles(store: store, files: files, blocking: blocking)
  }

  /// The market is made after the hub, which is made after this.
  func attach(_ market: Market) { self.market.withLock { $0 = market } }

  func account(forKey key: String) async throws -> AccountID? {
    guard let identity = market.withLock({ $0 })?.authenticator.identity(of: key), identity.role != .miner else {
      return nil
    }
    return identity.account
  }

  func snapshot(account: AccountID, job: JobID?) async throws -> FeedSnapshot {
    let (sequence, jobs, isTruncated) = try await store.read { store -> (Int64, [Job], Bool) in
      let sequence = try store.lastSequence()
      if let job { return (sequence, try store.job(job).map { $0.account == account ? [$0] : [] } ?? [], false) }
      var active = JobQuery(account: account)
      active.states = Set(JobState.allCases.filter { !$0.isTerminal })
      active.limit = Self.snapshotLimit
      var newest = JobQuery(account: account)
      newest.limit = Self.snapshotLimit
      let first = try store.jobs(active)
      let second = try store.jobs(newest)
      let known = Set(first.jobs.map(\.id))
      let jobs = first.jobs + second.jobs.filter { !known.contains($0.id) }
      return (sequence, Array(jobs.prefix(Self.snapshotLimit)), second.total > min(jobs.count, Self.snapshotLimit))
    }
    let documents = market.withLock { $0 }?.documents(jobs) ?? jobs.map { $0.document() }
    return FeedSnapshot(sequence: sequence, jobs: documents, isTruncated: isTruncated)
  }

  func sequenceBounds() async throws -> SequenceBounds {
    try await store.read { SequenceBounds(first: try $0.firstSequence(), last: try $0.lastSequence()) }
  }

  func events(after sequence: Int64, account: AccountID?, job: JobID?, limit: Int) async throws -> [JobEvent] {
    try await store.read { try $0.events(after: sequence, account: account, job: job, limit: limit) }
  }

  func owns(account: AccountID, job: JobID) async throws -> Bool {
    try await store.read { try $0.job(job)?.account == account }
  }

  func logState(job id: JobID) async throws -> LogState? {
    let found = try await store.read { store -> (Job, TryRecord?)? in
      guard let job = try store.job(id) else { return nil }
      return (job, job.lastTry > 0 ? try store.tryRecord(of: id, number: job.lastTry) : nil)
    }
    guard let (job, attempt) = found else { return nil }
    let isGone = market.withLock { $0 }.map { job.resultsGone(at: $0.clock.now) != nil } ?? false
    // Logs that are gone are shown as none, not as a gap that never fills.
    guard let attempt, !isGone else {
      return LogState(tryNumber: 0, lengths: [:], facts: [:], isTerminal: job.state.isTerminal)
    }
    let number = attempt.number
    var lengths: [LogStream: Int64] = [:]
    for stream in LogStream.allCases {
      lengths[stream] = try await results.logLength(id, tryNumber: number, stream: stream)
    }
    var facts: [LogStream: LogFact] = [:]
    if let log = attempt.stdout { facts[.stdout] = LogFact(length: log.length, sha256: log.sha256) }
    if let log = attempt.stderr { facts[.stderr] = LogFact(length: log.length, sha256: log.sha256) }
    return LogState(tryNumber: number, lengths: lengths, facts: facts, isTerminal: job.state.isTerminal)
  }

  func logBytes(
    job: JobID, tryNumber: Int, stream: LogStream, offset: Int64, limit: Int
  ) async throws -> [UInt8] {
    try await results.readLog(job, tryNumber: tryNumber, stream: stream, offset: offset, count: limit)
  }
}
