import Clocks
import Marketplace
import NIOCore
import WebSocketTransport

/// What all readers that are up to date get in one flush: one piece of bytes.
struct SharedBatch: Sendable {
  /// Readers that have exactly this much may take it.
  let base: Int64
  /// Readers that have exactly this progress may take it; nil: none may, each goes on alone.
  let baseVersion: UInt64?
  let events: RunBatch<EncodedFrame>
  let version: UInt64
  /// Events, then progress. Nil: nothing to send.
  var frame: EncodedFrame?
  /// Events ever appended to the topic.
  let endPosition: UInt64
  let isWhole: Bool
}

/// The readers of one event loop. Sends what was published since the last turn: each topic once, each socket once.
///
/// `@unchecked Sendable`: everything that changes is touched on `eventLoop` only.
final class LoopHub: @unchecked Sendable {
  let eventLoop: any EventLoop
  private unowned let hub: PushHub
  private let index: Int
  private var topics: [TopicKey: LoopTopic] = [:]
  private var followers: [JobID: [ObjectIdentifier: FeedSession]] = [:]
  /// Pages of history being read for readers of this loop.
  let historyTurns: Turns

  init(hub: PushHub, eventLoop: any EventLoop, index: Int) {
    self.hub = hub
    self.eventLoop = eventLoop
    self.index = index
    historyTurns = Turns(hub.limits.historyReads)
  }

  // MARK: Readers

  func join(_ session: FeedSession, _ key: TopicKey) {
    let mark = hub.withState { $0.join(key, loop: index) }
    let topic = topics[key] ?? LoopTopic(mark)
    topics[key] = topic
    topic.join(session)
  }

  func leave(_ session: FeedSession, _ key: TopicKey) {
    guard let topic = topics[key] else { return }
    topic.leave(session)
    if topic.isEmpty { topics[key] = nil }
    hub.withState { $0.leave(key, loop: index) }
  }

  /// The reader is about to do something of its own: it gets a cursor of its own.
  func fallOut(_ session: FeedSession, _ key: TopicKey) { topics[key]?.fallOut(session) }

  /// The reader has nothing of its own to do: it joins those in step, if it has exactly what they have.
  func fallIn(_ session: FeedSession, _ key: TopicKey) {
    guard let topic = topics[key], session.machine.isInStep(with: topic.mark) else { return }
    let (sequence, published) = (session.machine.cursor.sequence, topic.mark.published)
    if sequence > published {
      // It may have had events already that those in step still get: some from the run, others from the store before
      // they were published.
      let isAhead = hub.withState { state in
        sequence > state.published || state.topics[key]?.run.last ?? .max > published
      }
      guard !isAhead else { return }
    }
    topic.fallIn(session)
  }

  func follow(_ session: FeedSession, _ job: JobID) {
    guard followers[job, default: [:]].updateValue(session, forKey: ObjectIdentifier(session)) == nil else { return }
    hub.withState { $0.follow(job, loop: index) }
  }

  func unfollow(_ session: FeedSession, _ job: JobID) {
    guard followers[job]?.removeValue(forKey: ObjectIdentifier(session)) != nil else { return }
    if followers[job]?.isEmpty == true { followers[job] = nil }
    hub.withState { $0.unfollow(job, loop: index) }
  }

  // MARK: Sending

  func flushSoon() { onLoop { $0.flush() } }

  private func flush() {
    for key in hub.withState({ $0.takeDirty(index) }) {
      if case .log(let job) = key {
        let extents = hub.withState { $0.extents(of: job) }
        for session in (followers[job] ?? [:]).values { session.logsChanged(extents, of: job) }
      } else {
        flush(key)
      }
    }
  }

  private func flush(_ key: TopicKey) {
    guard let topic = topics[key], let batch = makeBatch(key, topic.mark) else { return }
    if !batch.isWhole { hub.withState { $0.mark(key, on: index) } }
    // Readers that are not in step first: one that falls out meanwhile has had the batch.
    if batch.baseVersion == nil { topic.scatter() }
    let apart = topic.apart
    topic.advance(to: batch)
    if let frame = batch.frame { topic.group.send(frame) }
    for job in batch.events.ended { ended(job, key, topic) }
    for session in apart { session.take(batch) }
  }

  /// Those in step have been sent a job's end.
  private func ended(_ job: JobID, _ key: TopicKey, _ topic: LoopTopic) {
    let concerned =
      if case .job = key { Array(topic.members) } else { (followers[job] ?? [:]).values.filter { $0.topic == key } }
    for session in concerned where session.isInStep { session.delivered(ends: [job]) }
  }

  private func makeBatch(_ key: TopicKey, _ common: TopicMark) -> SharedBatch? {
    let limit = hub.limits.batchBytes
    typealias Parts = (batch: SharedBatch, frames: [EncodedFrame])
    let parts = hub.withState { state -> Parts? in
      guard let topic = state.topics[key] else { return nil }
      let position = topic.run.endPosition
      guard let events = topic.run.batch(after: common.published, limit: limit) else {
        // More was published in a turn than the run holds.
        let none = RunBatch<EncodedFrame>(base: topic.run.last, position: position)
        let batch = SharedBatch(
          base: none.base, baseVersion: nil, events: none, version: topic.latest.version, endPosition: position,
          isWhole: true)
        return (batch, [])
      }
      let room = limit - events.frames.reduce(0) { $0 + $1.size }
      let latest =
        events.isWhole && room > 0
        ? topic.latest.batch(after: common.version, limit: room)
        : (frames: [], version: common.version, isWhole: false)
      let batch = SharedBatch(
        base: events.base, baseVersion: common.version, events: events, version: latest.version,
        endPosition: position, isWhole: latest.isWhole)
      return (batch, events.frames + latest.frames)
    }
    guard let parts else { return nil }
    var batch = parts.batch
    if !parts.frames.isEmpty { batch.frame = EncodedFrame(run: parts.frames) }
    return batch
  }

  // MARK: Watching

  func sweepSoon() { onLoop { $0.sweep() } }
  func stopSoon() { onLoop { part in part.forEach { $0.restart() } } }
  func revokeSoon(_ keyHash: String) { onLoop { part in part.forEach { $0.revoke(keyHash) } } }

  /// Called by the hub, which is kept until the task has run.
  private func onLoop(_ body: @escaping @Sendable (LoopHub) -> Void) {
    let hub = hub
    eventLoop.execute { withExtendedLifetime(hub) { body(self) } }
  }

  private func sweep() {
    let now = hub.clock.monotonic
    for (key, topic) in topics {
      let apart = topic.apart
      guard !apart.isEmpty else { continue }
      let end = hub.withState { $0.topics[key]?.run.endPosition ?? 0 }
      for session in apart { session.sweep(at: now, endPosition: end) }
    }
  }

  /// Readers that are not in step.
  var apartCount: Int { topics.values.reduce(0) { $0 + $1.apart.count } }

  private func forEach(_ body: (FeedSession) -> Void) {
    for members in topics.values.map(\.members) { members.forEach(body) }
  }
}
