import Clocks
import Marketplace
import Store
import Testing
import TestRandomness
import Wire

@testable import Coordinator

/// One topic of a store, its readers' events published later than committed, one reader that comes, lags, goes and
/// resumes, and a client that checks each message against the log.
private struct World {
  var generator: SeededGenerator
  var limits = FeedLimits()
  // The store.
  var log: [Int64] = []
  var last: Int64 = 0
  var first: Int64 = 1
  // The hub.
  var published: Int64 = 0
  var run: TopicRun<Int64>
  var common: Int64
  // The reader.
  var machine: FeedMachine
  var isWritable = true
  var asked: [FeedAction] = []
  var history: (after: Int64, floor: Int64, generation: Int)?
  var page: (sequences: [Int64], isLast: Bool, isComplete: Bool)?
  var snapshot: (sequence: Int64, generation: Int)?
  // The client.
  var has: Int64?
  var mustReset = false
  var faults: [String] = []
  var received = 0
  var fromHistory = 0
  var shared = 0
  var resets = 0

  static let now = MonotonicTime(milliseconds: 0)

  init(seed: UInt64) {
    generator = SeededGenerator(seed: seed)
    limits.historyPage = Int.random(in: 1...4, using: &generator)
    limits.batchBytes = Int.random(in: 1...40, using: &generator)
    limits.eventsBehind = .max
    run = Self.makeRun(after: 0)
    common = 0
    machine = FeedMachine(scope: .account, epoch: "e", limits: limits, resume: nil, openedAt: Self.now)
    perform(machine.opened(account: Known.account))
  }

  static func makeRun(after floor: Int64) -> TopicRun<Int64> {
    TopicRun(after: floor, maximumCount: 3, maximumBytes: 1000)
  }

  var mark: TopicMark { TopicMark(published: published, endPosition: run.endPosition, version: 0) }

  mutating func step() {
    switch Int.random(in: 0..<12, using: &generator) {
    case 0, 1: commit()
    case 2, 3: publish()
    case 4: isWritable.toggle()
    case 5: flush()
    case 6, 7: pump()
    case 8, 9: answer()
    case 10: if generator.chance(percent: 15) { reconnect() } else if generator.chance(percent: 20) { resumeMessage() }
    default: if generator.chance(percent: 5) { prune() }
    }
  }

  mutating func commit() {
    last += Int64.random(in: 1...3, using: &generator)
    if generator.chance(percent: 80) { log.append(last) }
  }

  /// The next committed event of the topic, or the end of a stretch that holds none.
  mutating func publish() {
    guard published < last else { return }
    if let next = log.first(where: { $0 > published }) {
      published = next
      run.append(TopicRun.Entry(sequence: next, size: 10, ended: nil, frame: next))
    } else {
      published = last
    }
  }

  /// What ``LoopHub`` does for all readers that are up to date.
  mutating func flush() {
    guard let batch = run.batch(after: common, limit: limits.batchBytes) else {
      common = run.last
      return pump()
    }
    common = batch.sequence
    guard isWritable else { return }
    guard machine.takes(base: batch.base, first: batch.first, version: 0) else { return pump() }
    machine.cursor.delivered(batch)
    shared += batch.frames.count
    batch.frames.forEach { receive($0) }
  }

  mutating func pump() {
    while isWritable {
      switch machine.next(in: run) {
      case .caughtUp: return
      case .batch(let batch): batch.frames.forEach { receive($0) }
      case .history(let after, let floor): history = (after, floor, machine.generation)
      }
    }
  }

  /// One half of a read at a time: the store is looked at, later the result arrives.
  mutating func answer() {
    if let found = snapshot {
      snapshot = nil
      let snapshot = FeedSnapshot(sequence: found.sequence, jobs: [], isTruncated: false)
      perform(
        machine.snapshotLoaded(snapshot, end: nil, mark: mark, generation: found.generation, now: Self.now))
    } else if let history, let found = page {
      (self.history, page) = (nil, nil)
      guard found.isComplete else { return perform(machine.historyGone(generation: history.generation)) }
      let count = machine.historyRead(
        found.sequences, floor: history.floor, isLast: found.isLast, generation: history.generation)
      fromHistory += count
      found.sequences.suffix(count).forEach { receive($0) }
    } else if let history {
      let sequences = Array(log.filter { $0 > history.after && $0 >= first }.prefix(limits.historyPage))
      page = (sequences, sequences.count < limits.historyPage, first <= history.after + 1)
    } else if !asked.isEmpty {
      look(asked.removeFirst())
    }
  }

  mutating func look(_ action: FeedAction) {
    switch action {
    case .loadSnapshot(let generation): snapshot = (last, generation)
    case .checkResume(let generation):
      let bounds = SequenceBounds(first: first, last: last)
      perform(machine.resumeChecked(bounds, end: nil, mark: mark, generation: generation, now: Self.now))
    default: break
    }
  }

  mutating func perform(_ actions: [FeedAction]) {
    for action in actions {
      switch action {
      case .loadSnapshot, .checkResume: asked.append(action)
      case .send(let message): receive(message)
      case .pump: pump()
      case .join: break
      default: faults.append("unexpected \(action)")
      }
    }
  }

  mutating func receive(_ message: FeedMessage) {
    switch message {
    case .snapshot(_, let sequence, _, _):
      if has != nil, !mustReset { faults.append("a snapshot out of turn") }
      has = sequence
      mustReset = false
    case .reset:
      mustReset = true
      resets += 1
    default: faults.append("unexpected \(message)")
    }
  }

  mutating func receive(_ sequence: Int64) {
    received += 1
    guard let has else { return faults.append("\(sequence) before any snapshot") }
    let expected = log.first { $0 > has }
    if expected != sequence { faults.append("got \(sequence) after \(has), not \(expected ?? -1)") }
    self.has = sequence
  }

  mutating func reconnect() {
    (asked, history, page, snapshot) = ([], nil, nil, nil)
    run = Self.makeRun(after: published)
    common = published
    isWritable = true
    // What a client would send: its last sequence, once it has one.
    let resume = has.map { FeedResume(epoch: "e", after: $0) }
    machine = FeedMachine(scope: .account, epoch: "e", limits: limits, resume: resume, openedAt: Self.now)
    perform(machine.opened(account: Known.account))
  }

  mutating func resumeMessage() {
    guard let has else { return }
    let time = MonotonicTime(milliseconds: .random(in: 0...1 << 40, using: &generator))
    perform(machine.received(.resume(epoch: "e", after: has), at: time))
  }

  /// Old events are removed from the log.
  mutating func prune() { first = Int64.random(in: first...max(first, last), using: &generator) }

  mutating func settle() {
    isWritable = true
    while published < last { publish() }
    for _ in 0..<10_000 {
      answer()
      flush()
      pump()
    }
  }
}

@Suite struct CursorTests {
  @Test(arguments: UInt64(1)...300)
  func everyEventOnceAndInOrder(seed: UInt64) {
    var world = World(seed: seed)
    for _ in 0..<1500 { world.step() }
    world.settle()
    #expect(world.faults.isEmpty, "seed \(seed)")
    if let end = world.log.last { #expect(world.has ?? 0 >= end, "seed \(seed)") }
  }

  @Test func theWorldsVisitEveryPath() {
    var (received, history, shared, resets) = (0, 0, 0, 0)
    for seed in UInt64(1)...50 {
      var world = World(seed: seed)
      for _ in 0..<1500 { world.step() }
      received += world.received
      history += world.fromHistory
      shared += world.shared
      resets += world.resets
    }
    #expect(received > 5000 && history > 500 && shared > 100 && resets > 10)
  }

  @Test func lagCountsFromThePlace() {
    var cursor = Cursor()
    cursor.place(after: 100, at: TopicMark(published: 100, endPosition: 50, version: 0))
    #expect(cursor.behind(50) == 0 && cursor.behind(57) == 7)
    // Two events of its lag, and one that was there before.
    _ = cursor.delivered(history: [101, 102], floor: 0, isLast: false)
    #expect(cursor.behind(57) == 5)
  }

  @Test func oldHistoryIsNoLag() {
    var cursor = Cursor()
    cursor.place(after: 10, at: TopicMark(published: 100, endPosition: 50, version: 0))
    _ = cursor.delivered(history: [20, 30, 40], floor: 100, isLast: false)
    #expect(cursor.behind(50) == 0 && cursor.sequence == 40)
    _ = cursor.delivered(history: [], floor: 100, isLast: true)
    #expect(cursor.sequence == 100)
  }
}
