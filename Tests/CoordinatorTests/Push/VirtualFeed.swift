import Clocks
import JSON
import Marketplace
import Store
import Synchronization
import WebSocket
import Wire

@testable import Coordinator

/// What all feeds of a virtual market share: the store, and the run of its topic.
final class VirtualTopic {
  let source = TestSource()
  private(set) var run: TopicRun<[UInt8]>
  private(set) var published: Int64 = 0
  private var feed: VirtualFeed?

  /// - runEvents: few, so that readers soon need the store.
  init(runEvents: Int) { run = TopicRun(after: 0, maximumCount: runEvents, maximumBytes: 1 << 20) }

  var mark: TopicMark { TopicMark(published: published, endPosition: run.endPosition, version: 0) }

  /// A new reader; the run may have been forgotten since the last one.
  func open(_ feed: VirtualFeed, forgets: Bool, runEvents: Int) {
    self.feed = feed
    if forgets { run = TopicRun(after: published, maximumCount: runEvents, maximumBytes: 1 << 20) }
  }

  func change(_ job: JobID, _ state: JobState) {
    for event in source.commit([(job, state)]) {
      published = event.sequence
      let message = FeedMessage.status(FeedEncoder.status(of: event, epoch: source.epoch)).json.encoded
      run.append(
        TopicRun.Entry(
          sequence: event.sequence, size: message.count, ended: state.isTerminal ? job : nil, frame: message))
    }
    feed?.pump()
  }

  func log(_ bytes: [UInt8], _ stream: LogStream, of job: JobID) {
    let length = source.state.withLock { state in
      state.logs[TestSource.key(job, 1, stream), default: []] += bytes
      return state.logs[TestSource.key(job, 1, stream)]?.count ?? 0
    }
    feed?.heard(job, stream, length: Int64(length), fact: nil)
  }

  func endLogs(of job: JobID) {
    for stream in LogStream.allCases {
      let key = TestSource.key(job, 1, stream)
      let fact = source.state.withLock { state in
        let fact = logFact(of: state.logs[key] ?? [])
        state.facts[key] = fact
        return fact
      }
      feed?.heard(job, stream, length: fact.length, fact: fact)
    }
  }
}

/// The server's end of one feed without sockets and threads: carries out what a ``FeedMachine`` decides, as
/// ``FeedSession`` does. Reads of the store wait until the test lets them happen.
final class VirtualFeed {
  private enum Read {
    case snapshot(Int)
    case resume(Int)
    case history(after: Int64, floor: Int64, generation: Int)
    case logState(JobID, Int)
    case log(LogRead)
  }

  private let topic: VirtualTopic
  private var machine: FeedMachine
  private var socket: ConnectionMachine
  private var reads: [Read] = []
  private var extents: [JobID: [LogExtent]] = [:]
  private var hasJoined = false
  /// Octets for the client.
  private(set) var sent: [UInt8] = []
  var now: MonotonicTime

  init(
    _ topic: VirtualTopic, scope: FeedScope, resume: FeedResume?, deflate: DeflateAgreement?, now: MonotonicTime
  ) {
    self.topic = topic
    self.now = now
    var limits = FeedLimits()
    limits.historyPage = 3
    limits.batchBytes = 600
    limits.logPiece = 64
    machine = FeedMachine(scope: scope, epoch: topic.source.epoch, limits: limits, resume: resume, openedAt: now)
    socket = ConnectionMachine(role: .server, deflate: deflate, pool: DeflatePool(), maskingKeys: { MaskingKey(0) })
  }

  var hasReads: Bool { !reads.isEmpty }

  func start() { perform(machine.opened(account: Known.account)) }

  func receive(_ octets: [UInt8]) throws {
    var events: [Event] = []
    octets.withUnsafeBytes { raw in
      var input = raw
      while let event = socket.next(&input, at: 0) { events.append(event) }
    }
    for event in events {
      switch event {
      case .text(let text): perform(machine.received(try FeedCommand(json: JSONParser.parse(text)), at: now))
      case .close(_, let reply): sent += reply ?? []
      default: break
      }
    }
  }

  /// Lets the oldest read happen.
  func read() async throws {
    guard !reads.isEmpty else { return }
    let source = topic.source
    switch reads.removeFirst() {
    case .snapshot(let generation):
      let snapshot = try await source.snapshot(account: Known.account, job: machine.job)
      let end = try await end()
      perform(
        machine.snapshotLoaded(snapshot, end: end, mark: topic.mark, generation: generation, now: now))
    case .resume(let generation):
      let bounds = try await source.sequenceBounds()
      let end = try await end()
      perform(machine.resumeChecked(bounds, end: end, mark: topic.mark, generation: generation, now: now))
    case .history(let after, let floor, let generation):
      let events = try await source.events(after: after, account: Known.account, job: machine.job, limit: 3)
      let count = machine.historyRead(
        events.map(\.sequence), floor: floor, isLast: events.count < 3, generation: generation)
      let new = events.suffix(count)
      for event in new { perform([.send(.status(FeedEncoder.status(of: event, epoch: machine.epoch)))]) }
      if !new.isEmpty { perform(machine.delivered(ends: new.filter(\.state.isTerminal).map(\.job), at: now)) }
      pump()
    case .logState(let job, let generation):
      let state = try await source.logState(job: job)
      let actions = machine.logStateLoaded(state, of: job, generation: generation, now: now)
      machine.logsChanged(extents[job] ?? [], of: job)
      perform(actions)
    case .log(let read):
      let bytes = try await source.logBytes(
        job: read.job, tryNumber: read.tryNumber, stream: read.stream, offset: read.offset, limit: read.limit)
      perform(machine.logRead(bytes, for: read, now: now))
    }
  }

  private func end() async throws -> Int64? {
    guard let job = machine.job else { return nil }
    return try await topic.source.endSequence(of: job)
  }

  /// The hub does this about once a second.
  func sweep() {
    perform(machine.sweep(at: now, isWritable: true, endPosition: topic.run.endPosition))
  }

  func heard(_ job: JobID, _ stream: LogStream, length: Int64, fact: LogFact?) {
    guard extents[job] != nil else { return }
    extents[job]?.merge(tryNumber: 1, stream: stream, length: length, fact: fact)
    machine.logsChanged(extents[job] ?? [], of: job)
    pump()
  }

  func pump() {
    guard hasJoined, machine.phase != .closed else { return }
    while true {
      switch machine.next(in: topic.run) {
      case .caughtUp: return pumpLogs()
      case .history(let after, let floor):
        reads.append(.history(after: after, floor: floor, generation: machine.generation))
        return pumpLogs()
      case .batch(let batch):
        for frame in batch.frames { sent += socket.send(.text, frame) ?? [] }
        if !batch.ended.isEmpty { perform(machine.delivered(ends: batch.ended, at: now)) }
      }
    }
  }

  private func pumpLogs() {
    while true {
      switch machine.nextLog() {
      case .nothing: return
      case .read(let read):
        reads.append(.log(read))
        return
      case .piece(let piece):
        perform([.send(.log(piece))])
        perform(machine.dropFinished(at: now))
      }
    }
  }

  private func perform(_ actions: [FeedAction]) {
    for action in actions {
      switch action {
      case .send(let message): sent += socket.send(.text, message.json.encoded) ?? []
      case .close(let code, let reason): sent += socket.close(CloseStatus(code.code, reason: reason)) ?? []
      case .authenticate: break
      case .join: hasJoined = true
      case .loadSnapshot(let generation): reads.append(.snapshot(generation))
      case .checkResume(let generation): reads.append(.resume(generation))
      case .follow(let job): extents[job] = []
      case .unfollow(let job): extents[job] = nil
      case .loadLogState(let job, let generation): reads.append(.logState(job, generation))
      case .pump: pump()
      }
    }
  }
}
