import Clocks
import Cryptography
import Marketplace
import NIOCore
import Store
import WebSocketTransport
import Wire

/// Reads of the source. Each result comes back on the event loop; the machine drops those that are out of date.
extension FeedSession {
  func authenticate(_ key: String) {
    let scope = machine.scope
    let ticket = ticket
    keyHash = SHA256.hash(key.utf8).hex
    read { source -> FeedIdentity in
      guard let account = try await source.account(forKey: key) else { return .unknownKey }
      if case .job(let job) = scope, try await !source.owns(account: account, job: job) { return .notOwner }
      return ticket?.claim(account) == false ? .full : .account(account)
    } then: { session, identity in
      session.perform(session.machine.authenticated(identity))
      session.closeIfRevoked()
    }
  }

  func loadSnapshot(_ generation: Int) {
    guard let account = machine.account else { return }
    let job = machine.job
    read { source in
      // In this order: a job that the snapshot shows ended has its end found.
      let snapshot = try await source.snapshot(account: account, job: job)
      let end = if let job { try await source.endSequence(of: job) } else { Int64?.none }
      return (snapshot, end)
    } then: { session, result in
      session.perform(
        session.machine.snapshotLoaded(
          result.0, end: result.1, mark: session.mark, generation: generation, now: session.hub.clock.monotonic))
    }
  }

  func checkResume(_ generation: Int) {
    let job = machine.job
    read { source in
      // In this order: an end within the bounds is found.
      let bounds = try await source.sequenceBounds()
      let end = if let job { try await source.endSequence(of: job) } else { Int64?.none }
      return (bounds, end)
    } then: { session, result in
      session.perform(
        session.machine.resumeChecked(
          result.0, end: result.1, mark: session.mark, generation: generation, now: session.hub.clock.monotonic))
    }
  }

  func readHistory(after: Int64, floor: Int64) {
    guard let account = machine.account else { return }
    let job = machine.job
    let limit = max(1, hub.limits.historyPage)
    let generation = machine.generation
    part?.historyTurns.take { [self] end in
      guard machine.generation == generation else { return end() }
      read { source in
        // In this order: what is still kept afterwards was there to be read.
        let events = try await source.events(after: after, account: account, job: job, limit: limit)
        return (events, try await source.sequenceBounds().first <= after + 1)
      } then: { session, result in
        guard result.1 else { return session.perform(session.machine.historyGone(generation: generation)) }
        session.took(result.0, floor: floor, isLast: result.0.count < limit, generation: generation)
      } finally: {
        end()
      }
    }
  }

  /// A page of history. What the connection has no room for is read again when it has.
  private func took(_ page: [JobEvent], floor: Int64, isLast: Bool, generation: Int) {
    var room = connection?.room ?? 0
    var isWhole = true
    var taken: [JobEvent] = []
    var frames: [EncodedFrame] = []
    for event in page where event.sequence > machine.cursor.sequence {
      let frame = FeedEncoder.frame(of: event, epoch: machine.epoch)
      isWhole = room >= frame.size || room > 0 && frames.isEmpty
      guard isWhole else { break }
      room -= frame.size
      taken.append(event)
      frames.append(frame)
    }
    let count = machine.historyRead(
      taken.map(\.sequence), floor: floor, isLast: isLast && isWhole, generation: generation)
    if count > 0 {
      connection?.send(EncodedFrame(run: frames))
      delivered(ends: taken.filter(\.state.isTerminal).map(\.job))
    }
    pump()
  }

  func loadLogState(_ job: JobID, _ generation: Int) {
    guard let account = machine.account else { return }
    let mustOwn = machine.job == nil
    read { source -> LogState? in
      if mustOwn, try await !source.owns(account: account, job: job) { return nil }
      return try await source.logState(job: job)
    } then: { session, state in
      let actions = session.machine.logStateLoaded(
        state, of: job, generation: generation, now: session.hub.clock.monotonic)
      // What was heard while the state was being read.
      session.machine.logsChanged(session.hub.withState { $0.extents(of: job) }, of: job)
      session.perform(actions)
    }
  }

  func readLog(_ read: LogRead) {
    self.read { source in
      try await source.logBytes(
        job: read.job, tryNumber: read.tryNumber, stream: read.stream, offset: read.offset, limit: read.limit)
    } then: { session, bytes in
      session.perform(
        session.machine.logRead(bytes, for: read, now: session.hub.clock.monotonic))
    }
  }

  private var mark: TopicMark {
    guard let topic else { return TopicMark(published: 0, endPosition: 0, version: 0) }
    return hub.withState { $0.place(in: topic) }
  }

  /// Runs `body` off the event loop. When it fails the feed is closed with 4013: the client comes back and resumes.
  private func read<Value: Sendable>(
    _ body: @escaping @Sendable (any FeedSource) async throws -> Value,
    then: @escaping @Sendable (FeedSession, Value) -> Void, finally: @escaping @Sendable () -> Void = {}
  ) {
    guard let eventLoop = connection?.eventLoop, machine.phase != .closed else { return finally() }
    let source = hub.source
    Task {
      let result: Result<Value, any Error>
      do { result = .success(try await body(source)) } catch { result = .failure(error) }
      eventLoop.execute {
        defer { finally() }
        guard self.connection != nil, self.machine.phase != .closed else { return }
        switch result {
        case .success(let value): then(self, value)
        case .failure: self.perform(self.machine.close(.unavailable, "the history can't be read just now"))
        }
      }
    }
  }
}
