import Clocks
import JSON
import Marketplace
import Store
import StoreInMemory
import Wire

@testable import Coordinator

typealias FeedLine = Link<Never, FeedDelivery>

/// What a subscriber gets.
enum FeedDelivery {
  case snapshot(epoch: String, sequence: Int64)
  case reset
  case event(JobEvent, epoch: String)
  case closed(FeedCloseCode)
}

/// One live feed at the coordinator: does what its ``FeedMachine`` says, with the waits of reading between.
final class SimFeed: @unchecked Sendable {
  let coordinator: SimCoordinator
  let link: FeedLine
  var machine: FeedMachine
  var topic: TopicKey?

  /// Small, so that readers often lag behind what is kept in memory.
  static let limits: FeedLimits = {
    var limits = FeedLimits()
    limits.runEvents = 8
    limits.historyPage = 5
    return limits
  }()

  init(_ coordinator: SimCoordinator, _ link: FeedLine, scope: FeedScope, resume: FeedResume?) {
    self.coordinator = coordinator
    self.link = link
    machine = FeedMachine(
      scope: scope, epoch: coordinator.store.epoch, limits: Self.limits, resume: resume,
      openedAt: coordinator.monotonic)
    perform(machine.opened(account: coordinator.account.id))
  }

  private func perform(_ actions: [FeedAction]) { for action in actions { perform(action) } }

  private func perform(_ action: FeedAction) {
    switch action {
    case .send(.snapshot(let epoch, let sequence, _, _)):
      link.sendDown(.snapshot(epoch: epoch, sequence: sequence))
    case .send(.reset): link.sendDown(.reset)
    case .send: break
    case .close(let code, _):
      link.sendDown(.closed(code))
      coordinator.feeds.removeAll { $0 === self }
      link.closeAbove()
    case .join(let key):
      topic = key
      if coordinator.topics[key] == nil { coordinator.topics[key] = coordinator.makeTopic() }
    case .loadSnapshot(let generation): loadSnapshot(generation)
    case .checkResume(let generation): checkResume(generation)
    case .pump: pump()
    case .authenticate, .follow, .unfollow, .loadLogState: break
    }
  }

  private var mark: TopicMark {
    TopicMark(
      published: coordinator.published, endPosition: topic.flatMap { coordinator.topics[$0] }?.endPosition ?? 0,
      version: 0)
  }

  /// Reads now, and goes on with it a moment later.
  private func read<Value>(_ body: (any MarketReader) throws -> Value, then: @escaping (Value) -> Void) {
    guard let value = try? coordinator.store.look(body) else { return }
    coordinator.host.after(coordinator.world.wait(mean: 5)) {
      guard self.link.isOpenAbove else { return }
      then(value)
    }
  }

  private func end(_ market: any MarketReader) throws -> Int64? {
    guard let job = machine.job else { return nil }
    return try market.events(after: 0, account: nil, job: job, limit: 1_000).last { $0.state.isTerminal }?.sequence
  }

  private func loadSnapshot(_ generation: Int) {
    read { market in
      let jobs: [JSONValue] =
        try self.machine.job.flatMap { try market.job($0) }.map { job in
          [["job_id": .string(job.id.rawValue), "status": .string(job.state.rawValue)]]
        } ?? []
      return (FeedSnapshot(sequence: try market.lastSequence(), jobs: jobs, isTruncated: false), try self.end(market))
    } then: { [self] found in
      perform(
        machine.snapshotLoaded(
          found.0, end: found.1, mark: mark, generation: generation, now: coordinator.monotonic))
    }
  }

  private func checkResume(_ generation: Int) {
    read { market in
      (SequenceBounds(first: try market.firstSequence(), last: try market.lastSequence()), try self.end(market))
    } then: { [self] found in
      perform(
        machine.resumeChecked(found.0, end: found.1, mark: mark, generation: generation, now: coordinator.monotonic))
    }
  }

  func pump() {
    while link.isOpenAbove, let topic, let run = coordinator.topics[topic] {
      switch machine.next(in: run) {
      case .caughtUp: return
      case .batch(let batch):
        send(batch.frames[...])
      case .history(let after, let floor): return readHistory(after, floor)
      }
    }
  }

  private func readHistory(_ after: Int64, _ floor: Int64) {
    let (limit, generation, job) = (Self.limits.historyPage, machine.generation, machine.job)
    let account = coordinator.account.id
    read {
      try $0.events(after: after, account: account, job: job, limit: limit)
    } then: { [self] events in
      let count = machine.historyRead(
        events.map(\.sequence), floor: floor, isLast: events.count < limit, generation: generation)
      send(events.suffix(count))
      pump()
    }
  }

  private func send(_ events: ArraySlice<JobEvent>) {
    for event in events { link.sendDown(.event(event, epoch: machine.epoch)) }
    let ended = events.filter(\.state.isTerminal).map(\.job)
    if !ended.isEmpty { perform(machine.delivered(ends: ended, at: coordinator.monotonic)) }
  }

  func sweep() {
    let end = topic.flatMap { coordinator.topics[$0] }?.endPosition ?? 0
    perform(machine.sweep(at: coordinator.monotonic, isWritable: true, endPosition: end))
  }
}

extension SimCoordinator {
  func makeTopic() -> TopicRun<JobEvent> {
    TopicRun(after: published, maximumCount: SimFeed.limits.runEvents, maximumBytes: .max)
  }

  func open(_ link: FeedLine, scope: FeedScope, resume: FeedResume?) {
    guard host.isUp else { return link.closeAbove() }
    let feed = SimFeed(self, link, scope: scope, resume: resume)
    feeds.append(feed)
    link.closedAbove = { self.feeds.removeAll { $0 === feed } }
  }

  /// Hands a commit's events to the feeds.
  func publish(_ events: [JobEvent]) {
    guard !events.isEmpty else { return }
    for event in events where event.sequence > published {
      published = event.sequence
      for key in [TopicKey.account(event.account), .job(event.job)] {
        topics[key]?.append(
          TopicRun.Entry(
            sequence: event.sequence, size: 1, ended: event.state.isTerminal ? event.job : nil, frame: event))
      }
    }
    for feed in feeds { feed.pump() }
  }

  func sweepFeeds() { for feed in feeds { feed.sweep() } }
}
