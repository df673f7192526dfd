import Clocks
import Marketplace
import WebSocketTransport
import Wire

/// One topic: durable events, latest progress, and how many readers each event loop has.
struct Topic: Sendable {
  var run: TopicRun<EncodedFrame>
  var latest = LatestRun<EncodedFrame>()
  fileprivate var readers = ReaderCounts()

  fileprivate init(run: TopicRun<EncodedFrame>) { self.run = run }
}

/// Readers by the index of their event loop.
private struct ReaderCounts: Sendable {
  private(set) var byLoop: [Int] = []
  var isEmpty: Bool { byLoop.allSatisfy { $0 == 0 } }

  mutating func add(_ loop: Int) {
    while byLoop.count <= loop { byLoop.append(0) }
    byLoop[loop] += 1
  }

  mutating func remove(_ loop: Int) { byLoop[loop] -= 1 }
}

/// What a hub knows; behind its lock.
struct HubState: Sendable {
  private struct LogTopic: Sendable {
    var extents: [LogExtent] = []
    var readers = ReaderCounts()
  }

  let limits: FeedLimits
  /// The last event that was published.
  private(set) var published: Int64
  private(set) var topics: [TopicKey: Topic] = [:]
  private var logs: [JobID: LogTopic] = [:]
  /// By event loop.
  private var dirty: [Set<TopicKey>] = []
  private var toWake: Set<Int> = []
  private var isWoken: [Bool] = []
  private(set) var loops: [LoopHub] = []

  var progress: Coalescer<JobID, (account: AccountID, progress: JobProgress)>
  var market: Coalescer<TopicKey, FeedMessage>
  var isTimerSet = false
  var isStopping = false
  /// Hashes of the keys that were revoked in this process's life.
  var revoked: Set<String> = []
  var slowClosed = 0

  init(limits: FeedLimits, published: Int64) {
    self.limits = limits
    self.published = published
    progress = Coalescer(interval: limits.progressInterval)
    market = Coalescer(interval: limits.marketInterval)
    // Stays without readers: a new one gets the latest figures at once.
    topics[.market] = Topic(run: makeRun())
  }

  private func makeRun() -> TopicRun<EncodedFrame> {
    TopicRun(after: published, maximumCount: limits.runEvents, maximumBytes: limits.runBytes)
  }

  // MARK: Loops

  mutating func add(_ loop: LoopHub) {
    loops.append(loop)
    dirty.append([])
    isWoken.append(false)
  }

  /// Loops that have something to send and don't know it yet.
  mutating func takeWakes() -> [LoopHub] {
    guard !toWake.isEmpty else { return [] }
    let woken = toWake.filter { !isWoken[$0] }
    toWake = []
    for index in woken { isWoken[index] = true }
    return woken.map { loops[$0] }
  }

  /// What a loop has to send, taken once a turn.
  mutating func takeDirty(_ loop: Int) -> Set<TopicKey> {
    isWoken[loop] = false
    defer { dirty[loop] = [] }
    return dirty[loop]
  }

  /// Asks a loop to look at a topic again.
  mutating func mark(_ key: TopicKey, on loop: Int) {
    dirty[loop].insert(key)
    toWake.insert(loop)
  }

  private mutating func mark(_ key: TopicKey, _ readers: ReaderCounts) {
    for (loop, count) in readers.byLoop.enumerated() where count > 0 { mark(key, on: loop) }
  }

  // MARK: Readers

  mutating func join(_ key: TopicKey, loop: Int) -> TopicMark {
    if topics[key] == nil { topics[key] = Topic(run: makeRun()) }
    topics[key]?.readers.add(loop)
    return place(in: key)
  }

  func place(in key: TopicKey) -> TopicMark {
    let topic = topics[key]
    return TopicMark(
      published: published, endPosition: topic?.run.endPosition ?? 0, version: topic?.latest.version ?? 0)
  }

  mutating func leave(_ key: TopicKey, loop: Int) {
    topics[key]?.readers.remove(loop)
    if key != .market, topics[key]?.readers.isEmpty == true { topics[key] = nil }
  }

  mutating func follow(_ job: JobID, loop: Int) { logs[job, default: LogTopic()].readers.add(loop) }

  mutating func unfollow(_ job: JobID, loop: Int) {
    logs[job]?.readers.remove(loop)
    if logs[job]?.readers.isEmpty == true { logs[job] = nil }
  }

  func extents(of job: JobID) -> [LogExtent] { logs[job]?.extents ?? [] }

  // MARK: News

  func hasReaders(account: AccountID, job: JobID) -> Bool {
    topics[.account(account)] != nil || topics[.job(job)] != nil
  }

  mutating func append(
    sequence: Int64, account: AccountID, job: JobID, isEnd: Bool, frame: () -> EncodedFrame
  ) {
    guard sequence > published else { return }
    published = sequence
    progress.withdraw(job)
    var entry: TopicRun<EncodedFrame>.Entry?
    for key in [TopicKey.account(account), .job(job)] where topics[key] != nil {
      let made = entry ?? Self.entry(sequence, isEnd ? job : nil, frame())
      entry = made
      topics[key]?.run.append(made)
      topics[key]?.latest.drop(job.rawValue)
      if let readers = topics[key]?.readers { mark(key, readers) }
    }
  }

  private static func entry(
    _ sequence: Int64, _ ended: JobID?, _ frame: EncodedFrame
  ) -> TopicRun<EncodedFrame>.Entry {
    TopicRun.Entry(sequence: sequence, size: frame.size, ended: ended, frame: frame)
  }

  /// A message of which only the latest counts.
  mutating func put(_ frame: EncodedFrame, for name: String, in keys: [TopicKey]) {
    for key in keys where topics[key] != nil {
      topics[key]?.latest.put(name, size: frame.size, frame: frame)
      if let readers = topics[key]?.readers { mark(key, readers) }
    }
  }

  mutating func merge(_ job: JobID, tryNumber: Int, stream: LogStream, length: Int64, fact: LogFact?) {
    guard let readers = logs[job]?.readers else { return }
    logs[job]?.extents.merge(tryNumber: tryNumber, stream: stream, length: length, fact: fact)
    mark(.log(job), readers)
  }
}
