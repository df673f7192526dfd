import Clocks
import Marketplace
import Synchronization
import Wire

/// A miner that speaks REST. What the dispatcher says to it waits here until it asks.
///
/// It gets work only while it polls: the dispatcher claims for as many jobs as polls wait. A poll whose time ends during
/// the claim waits for it; an assignment whose poll has gone all the same goes back to the queue unstarted.
final class PollingMiner: MinerLink {
  private struct Running {
    let job: JobID
    /// Past it, leases are not renewed any more.
    let deadline: MonotonicTime
    /// When the miner was first told to stop it.
    var toldAt: MonotonicTime?
  }

  private struct State {
    var keyHash: String
    var waiters: [PollWaiter] = []
    /// A claim for it is under way.
    var isClaiming = false
    /// Polls whose time ended meanwhile: the claim may be theirs.
    var late: [PollWaiter] = []
    var running: [String: Running] = [:]
    var isDismissed = false
    var heardAt: MonotonicTime
  }

  let id: MinerID
  private let clock: any MarketClock
  private let state: Mutex<State>
  /// Takes an assignment back that nobody waits for.
  private let giveBack: @Sendable (Assignment) -> Void

  /// Polls of one miner that wait at once; one more gets 429.
  static let pollLimit = 64

  init(id: MinerID, keyHash: String, clock: any MarketClock, giveBack: @escaping @Sendable (Assignment) -> Void) {
    self.id = id
    self.clock = clock
    self.giveBack = giveBack
    state = Mutex(State(keyHash: keyHash, heardAt: clock.monotonic))
  }

  // MARK: What it asks

  /// It was heard just now, with this key.
  func heard(keyHash: String) {
    let now = clock.monotonic
    state.withLock { state in
      state.heardAt = now
      state.keyHash = keyHash
    }
  }

  /// Nobody polls, and nothing was heard since `moment`.
  func isSilent(since moment: MonotonicTime) -> Bool {
    state.withLock { $0.waiters.isEmpty && $0.heardAt < moment }
  }

  /// One more poll; nil when too many wait already, or the miner may not ask any more.
  func addWaiter() -> PollWaiter? {
    state.withLock { state in
      guard !state.isDismissed, state.waiters.count < Self.pollLimit else { return nil }
      let waiter = PollWaiter()
      state.waiters.append(waiter)
      return waiter
    }
  }

  func remove(_ waiter: PollWaiter) {
    let now = clock.monotonic
    state.withLock { state in
      state.waiters.removeAll { $0 === waiter }
      state.heardAt = max(state.heardAt, now)
    }
  }

  /// The poll's time is over. While a claim is under way, which takes a commit, it waits for that.
  func timeOut(_ waiter: PollWaiter) {
    state.withLock { state in
      if state.isClaiming { state.late.append(waiter) } else { waiter.resolve(nil) }
    }
  }

  /// Ends all polls without work.
  func release() {
    for waiter in state.withLock({ $0.waiters }) { waiter.resolve(nil) }
  }

  // MARK: Leases

  /// It works on this try now, at most until `timeout` has passed.
  func began(_ leaseHash: String, job: JobID, timeout: Seconds) {
    let now = clock.monotonic
    state.withLock { $0.running[leaseHash] = Running(job: job, deadline: now + timeout) }
  }

  func knows(_ leaseHash: String) -> Bool { state.withLock { $0.running[leaseHash] != nil } }

  func ended(_ leaseHash: String) { _ = state.withLock { $0.running.removeValue(forKey: leaseHash) } }

  /// It runs longer than its job may.
  func hasTimedOut(_ leaseHash: String) -> Bool {
    let now = clock.monotonic
    return state.withLock { $0.running[leaseHash].map { $0.deadline <= now } ?? false }
  }

  /// What a sign of life means: which of its live leases go on, which jobs it must stop, which it has lost since. A job that it was told
  /// to stop keeps its lease for the grace only, so that one that is never stopped ends with its lease.
  func answer(leases: [LeaseTable.Lease], cancels: [String: Seconds]) -> (renew: [String], stop: [JobID], lost: [JobID])
  {
    let now = clock.monotonic
    return state.withLock { state in
      let live = Set(leases.map(\.hash))
      let lost = state.running.filter { !live.contains($0.key) }
      for hash in lost.keys { state.running[hash] = nil }
      var renew: [String] = []
      var stop: [JobID] = []
      for lease in leases {
        let isLate = state.running[lease.hash].map { $0.deadline <= now } ?? false
        if let grace = cancels[lease.hash] ?? (isLate ? CancelRequest.defaultGrace : nil) {
          stop.append(lease.job)
          let toldAt = state.running[lease.hash]?.toldAt ?? now
          state.running[lease.hash]?.toldAt = toldAt
          if now <= toldAt + grace { renew.append(lease.hash) }
        } else {
          renew.append(lease.hash)
        }
      }
      return (renew, stop.sorted(), lost.values.map(\.job).sorted())
    }
  }

  // MARK: MinerLink

  var keyHash: String { state.withLock { $0.keyHash } }

  var demand: Int { state.withLock { $0.waiters.count(where: \.isWaiting) } }

  func beginClaim(of count: Int) -> Int {
    state.withLock { state in
      state.isClaiming = true
      return min(count, state.waiters.count(where: \.isWaiting))
    }
  }

  func endClaim() {
    state.withLock { state in
      state.isClaiming = false
      for waiter in state.late { waiter.resolve(nil) }
      state.late = []
    }
  }

  func send(_ command: MinerCommand) {
    switch command {
    case .assign(let assignment): deliver(assignment)
    // All else is told at its next sign of life, from the dispatcher's own books.
    case .cancel, .leases, .drain, .welcome, .logAck, .settled, .error: break
    }
  }

  private func deliver(_ assignment: Assignment) {
    for waiter in state.withLock({ $0.waiters }) where waiter.resolve(assignment) { return }
    giveBack(assignment)
  }

  func replace() { release() }

  func dismiss(_: MinerDismissal) {
    state.withLock { $0.isDismissed = true }
    release()
  }
}

/// One poll that waits: answered once, by an assignment, its time, or its end.
final class PollWaiter: Sendable {
  private enum State {
    case waiting(CheckedContinuation<Assignment?, Never>?)
    case resolved(Assignment?)
  }

  private let state = Mutex(State.waiting(nil))

  var isWaiting: Bool { state.withLock { if case .waiting = $0 { true } else { false } } }

  /// What it was answered with; nil before, and when there was no work.
  var assignment: Assignment? {
    state.withLock { if case .resolved(let assignment) = $0 { assignment } else { nil } }
  }

  /// False when it was answered before.
  @discardableResult
  func resolve(_ assignment: Assignment?) -> Bool {
    let (isFirst, continuation) = state.withLock { state -> (Bool, CheckedContinuation<Assignment?, Never>?) in
      guard case .waiting(let continuation) = state else { return (false, nil) }
      state = .resolved(assignment)
      return (true, continuation)
    }
    continuation?.resume(returning: assignment)
    return isFirst
  }

  /// The answer; nil when the task is canceled first. Call once.
  func value() async -> Assignment? {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let known = state.withLock { state -> Assignment?? in
          if case .resolved(let assignment) = state { return .some(assignment) }
          state = .waiting(continuation)
          return nil
        }
        if let known { continuation.resume(returning: known) }
      }
    } onCancel: {
      resolve(nil)
    }
  }
}
