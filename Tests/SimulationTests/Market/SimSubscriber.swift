import Marketplace
import Store
import StoreInMemory
import Wire

@testable import Coordinator
@testable import MarketplaceClient

/// A client of the live feed: resumes from the last sequence it has, and checks that nothing is missing and nothing
/// comes twice.
final class SimSubscriber: @unchecked Sendable {
  private let world: World
  private let coordinator: SimCoordinator
  private let checks: Checks
  private let path: Path
  private let scope: FeedScope
  private let name: String
  private var link: FeedLine?
  private var attempt = 0
  /// The last sequence it has; nil before the first snapshot.
  private(set) var sequence: Int64?
  private var epoch = ""
  /// What the product's own client makes of a job's feed.
  private var reducer: FeedReducer?
  private(set) var isEnded = false

  init(_ coordinator: SimCoordinator, scope: FeedScope, name: String) {
    self.coordinator = coordinator
    world = coordinator.world
    checks = coordinator.checks
    self.scope = scope
    self.name = name
    path = Path(world, coordinator.faults, name: name, between: [coordinator.host])
    if case .job(let job) = scope { reducer = FeedReducer(job: job.rawValue) }
    connect()
  }

  func cut(_ span: Int64) { path.cut(span) }
  func breakOff() { link?.breakOff() }
  func heal() { path.heal() }

  /// It has all that there is.
  var isComplete: Bool {
    if reducer != nil { return isEnded }
    return isEnded || sequence == (try? coordinator.store.look { try $0.lastSequence() })
  }

  private func connect() {
    guard !isEnded else { return }
    guard let there = path.flight(.up), let back = path.flight(.down), coordinator.host.isUp else { return again() }
    world.after(there + back) { [self] in
      guard coordinator.host.isUp else { return again() }
      let link = FeedLine(path)
      self.link = link
      link.onReceiveBelow { delivery in if self.link === link { self.take(delivery) } }
      link.closedBelow = { if self.link === link { self.again() } }
      let resume = sequence.map { FeedResume(epoch: epoch, after: $0) }
      coordinator.open(link, scope: scope, resume: resume)
    }
  }

  private func again() {
    link = nil
    attempt += 1
    let wait = Backoff.reconnect.delay(attempt: min(attempt, 4), using: &world.random)
    world.after(wait.milliseconds) { self.connect() }
  }

  // MARK: Messages

  private func take(_ delivery: FeedDelivery) {
    attempt = 0
    switch delivery {
    case .snapshot(let epoch, let sequence):
      if let known = self.sequence, sequence < known { world.violate("G12: \(name) was sent back to \(sequence)") }
      self.epoch = epoch
      self.sequence = sequence
      reduce(.snapshot(epoch: epoch, sequence: sequence, jobs: [], isTruncated: false))
    case .reset: world.violate("G12: \(name) was reset, though nothing was ever removed")
    case .event(let event, let epoch):
      expect(event)
      reduce(.status(FeedEncoder.status(of: event, epoch: epoch)))
    case .closed(let code):
      if code == .ended { isEnded = true }
      if code.duty == .stop, code != .ended { world.violate("G12: \(name) was told to stop: \(code)") }
    }
  }

  /// The next event after what it has, and no other.
  private func expect(_ event: Store.JobEvent) {
    guard let sequence else { return world.violate("G12: \(name) got an event before a snapshot") }
    var job: JobID?
    if case .job(let own) = scope { job = own }
    let next = try? coordinator.store.look { market in
      try market.events(after: sequence, account: coordinator.account.id, job: job, limit: 1).first
    }
    if next != event {
      world.violate(
        "G12: \(name) has all up to \(sequence) and got \(event.sequence), not \(next?.sequence ?? 0)")
    }
    self.sequence = event.sequence
  }

  private func reduce(_ message: FeedMessage) {
    guard var reducer else { return }
    for output in reducer.take(message) {
      if case .reconnect = output { world.violate("G12: \(name) saw another epoch") }
    }
    self.reducer = reducer
    if reducer.isEnded { isEnded = true }
  }
}
