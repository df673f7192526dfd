import JSON
import Clocks
import Marketplace
import NIOCore
import Store
import WebSocket
import WebSocketTransport
import Wire

/// One live feed: moves bytes for a ``FeedMachine``, which decides.
///
/// `@unchecked Sendable`: everything is touched on the connection's event loop only; results of reads are handed back
/// to it.
final class FeedSession: WebSocketSession, @unchecked Sendable {
  /// Batches sent before others of the loop get their turn.
  private static let batchesPerTurn = 16

  let hub: PushHub
  var machine: FeedMachine
  private let account: AccountID?
  private(set) var ticket: FeedTicket?
  private(set) var connection: WebSocketConnection?
  private(set) var part: LoopHub?
  private(set) var topic: TopicKey?
  /// Of the key that opened the feed.
  var keyHash: String?
  /// For the ``LoopTopic``.
  var seat = LoopTopic.Seat()
  /// Its cursor is the topic's; its own is out of date.
  var isInStep = false
  private var isPumping = false
  private var mustPumpAgain = false

  init(hub: PushHub, scope: FeedScope, account: AccountID?, resume: FeedResume?, ticket: FeedTicket) {
    self.hub = hub
    self.account = account
    self.ticket = ticket
    machine = FeedMachine(
      scope: scope, epoch: hub.source.epoch, limits: hub.limits, resume: resume, openedAt: hub.clock.monotonic)
  }

  // MARK: WebSocketSession

  func connected(_ connection: WebSocketConnection) {
    self.connection = connection
    part = hub.part(for: connection.eventLoop)
    guard !hub.isStopping else { return restart() }
    perform(machine.opened(account: account))
    closeIfRevoked()
  }

  func received(text: ByteBuffer) {
    guard text.readableBytes <= hub.limits.messageSize else {
      return perform(machine.close(.messageTooBig, "a message has at most \(hub.limits.messageSize) bytes"))
    }
    fallOut()
    defer { fallIn() }
    let now = hub.clock.monotonic
    do {
      perform(machine.received(try FeedCommand(json: JSONParser.parse(text.readableBytesView)), at: now))
    } catch {
      perform(machine.received(malformed: String(describing: error), at: now))
    }
  }

  func received(binary: ByteBuffer) { perform(machine.receivedBinary()) }

  func writabilityChanged(_ isWritable: Bool) { if isWritable { pump() } else { fallOut() } }

  func quiescing() { restart() }

  func closed(_ reason: WebSocketCloseReason) {
    _ = machine.close(.ended, "")
    leave()
    connection = nil
  }

  // MARK: From the hub

  /// What was just published; most readers take it as it is.
  func take(_ batch: SharedBatch) {
    guard let connection else { return }
    guard connection.isWritable else { return perform(machine.closeIfBehind(batch.endPosition)) }
    guard machine.takes(base: batch.base, first: batch.events.first, version: batch.baseVersion) else { return pump() }
    machine.cursor.delivered(batch.events)
    machine.cursor.delivered(version: batch.version)
    if let frame = batch.frame { connection.send(frame) }
    if !batch.events.ended.isEmpty { delivered(ends: batch.events.ended) }
    fallIn()
  }

  /// These jobs' end events were sent.
  func delivered(ends jobs: [JobID]) {
    fallOut()
    perform(machine.delivered(ends: jobs, at: hub.clock.monotonic))
    fallIn()
  }

  func logsChanged(_ extents: [LogExtent], of job: JobID) {
    machine.logsChanged(extents, of: job)
    pump()
  }

  func sweep(at now: MonotonicTime, endPosition: UInt64) {
    guard let connection else { return }
    perform(machine.sweep(at: now, isWritable: connection.isWritable, endPosition: endPosition))
  }

  func restart() { perform(machine.close(.restart, hub.restartReason)) }

  func revoke(_ hash: String) {
    guard keyHash == hash else { return }
    perform(machine.refuse("unauthorized", "the API key was revoked", close: .unauthorized))
  }

  /// The key may have been revoked between its check and the feed's opening.
  func closeIfRevoked() {
    guard let keyHash, hub.withState({ $0.revoked.contains(keyHash) }) else { return }
    revoke(keyHash)
  }

  // MARK: Actions

  func perform(_ actions: [FeedAction]) {
    for action in actions { perform(action) }
  }

  func perform(_ action: FeedAction) {
    switch action {
    case .send(let message): connection?.send(text: FeedEncoder.buffer(of: message))
    case .close(let code, let reason): close(code, reason)
    case .authenticate(let key): authenticate(key)
    case .join(let key): join(key)
    case .loadSnapshot(let generation): loadSnapshot(generation)
    case .checkResume(let generation): checkResume(generation)
    case .follow(let job): part?.follow(self, job)
    case .unfollow(let job): part?.unfollow(self, job)
    case .loadLogState(let job, let generation): loadLogState(job, generation)
    case .pump: pump()
    }
  }

  private func close(_ code: FeedCloseCode, _ reason: String) {
    if code == .slow { hub.withState { $0.slowClosed += 1 } }
    let connection = connection
    leave()
    connection?.close(code: code.code, reason: reason)
  }

  private func join(_ key: TopicKey) {
    if let topic { part?.leave(self, topic) }
    topic = key
    part?.join(self, key)
    if key == .market { machine.cursor.placeAtFirstVersion() }
  }

  private func leave() {
    if let topic { part?.leave(self, topic) }
    topic = nil
    for follow in machine.follows { part?.unfollow(self, follow.cursor.job) }
    machine.follows = []
    ticket = nil
  }

  // MARK: Sending

  private func fallOut() { if isInStep, let topic { part?.fallOut(self, topic) } }

  private func fallIn() {
    guard !isInStep, !isPumping, let topic, let connection, connection.isWritable else { return }
    part?.fallIn(self, topic)
  }

  /// Sends what the reader lacks while its socket takes it.
  func pump() {
    guard !isPumping else { return mustPumpAgain = true }
    fallOut()
    sendAll()
    fallIn()
  }

  private func sendAll() {
    isPumping = true
    defer { isPumping = false }
    for _ in 0..<Self.batchesPerTurn {
      guard let connection, connection.isWritable, machine.phase != .closed else { return }
      mustPumpAgain = false
      guard sendEvents(connection) || sendLatest(connection) || sendLog() || mustPumpAgain else { return }
    }
    connection?.eventLoop.execute { self.pump() }
  }

  private func sendEvents(_ connection: WebSocketConnection) -> Bool {
    guard let topic else { return false }
    let room = connection.room
    let step = hub.withState { state in state.topics[topic].map { machine.next(in: $0.run, room: room) } ?? .caughtUp }
    switch step {
    case .caughtUp: return false
    case .history(let after, let floor):
      readHistory(after: after, floor: floor)
      return false
    case .batch(let batch):
      connection.send(EncodedFrame(run: batch.frames))
      if !batch.ended.isEmpty { delivered(ends: batch.ended) }
      return true
    }
  }

  private func sendLatest(_ connection: WebSocketConnection) -> Bool {
    guard let topic else { return false }
    let limit = min(hub.limits.batchBytes, connection.room)
    let frames = hub.withState { state -> [EncodedFrame] in
      guard let topic = state.topics[topic], machine.takesProgress(last: topic.run.last) else { return [] }
      let batch = topic.latest.batch(after: machine.cursor.version, limit: limit)
      machine.cursor.delivered(version: batch.version)
      return batch.frames
    }
    guard !frames.isEmpty else { return false }
    connection.send(EncodedFrame(run: frames))
    return true
  }

  private func sendLog() -> Bool {
    switch machine.nextLog() {
    case .nothing: return false
    case .read(let read):
      readLog(read)
      return false
    case .piece(let piece):
      perform(.send(.log(piece)))
      perform(machine.dropFinished(at: hub.clock.monotonic))
      return true
    }
  }
}
