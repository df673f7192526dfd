import Clocks
import Logging
import Marketplace
import Store
import Synchronization
import Wire

/// How the dispatcher speaks to one connected miner. Never blocks.
protocol MinerLink: AnyObject, Sendable {
  func send(_ command: MinerCommand)
  /// Another connection of the same miner took its place.
  func replace()
}

/// Brings pending jobs to miners with free slots, and keeps the leases.
///
/// The decisions stand in ``DispatchState``; this class holds it under one lock that is never held across a wait. One
/// task (``run()``) claims; everybody else only wakes it.
final class Dispatcher: Sendable {
  private struct State {
    var decisions: DispatchState
    var links: [MinerID: any MinerLink] = [:]
  }

  private let state: Mutex<State>
  private let store: any MarketStore
  private let clock: any MarketClock
  private let log: Logger
  private let wakeups: AsyncStream<Void>
  private let wakeup: AsyncStream<Void>.Continuation

  init(store: any MarketStore, clock: any MarketClock, leaseTerm: Seconds, log: Logger) {
    self.store = store
    self.clock = clock
    self.log = log
    state = Mutex(State(decisions: DispatchState(leaseTerm: leaseTerm)))
    (wakeups, wakeup) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// Something changed that may let a job be placed.
  func wake() { wakeup.yield() }

  /// Takes the leases of the rows back after a start; each lives a full term from now.
  func restore() async throws {
    let held = try await store.read { try DispatchState.Held.all(in: $0) }
    let now = clock.monotonic
    state.withLock { $0.decisions.restore(held, at: now) }
    if !held.isEmpty { log.info("re-attached running jobs", metadata: ["count": "\(held.count)"]) }
  }

  /// Claims until it is canceled.
  func run() async {
    wake()
    for await _ in wakeups {
      do {
        while try await claimOnce() {}
      } catch is CancellationError {
        return
      } catch {
        log.error("claiming failed; trying again", metadata: ["error": "\(error)"])
        guard (try? await clock.sleep(for: Seconds(1))) != nil else { return }
        wake()
      }
    }
  }

  /// One round over the miners with free slots. True when jobs were placed, so that another round may place more.
  private func claimOnce() async throws -> Bool {
    let available = state.withLock { $0.decisions.fleet.available }
    guard !available.isEmpty else { return false }
    let classes = try await store.read { try $0.pendingClasses() }
    var hasPlaced = false
    for opening in DispatchState.openings(for: available, classes: classes) {
      hasPlaced = try await claim(opening) || hasPlaced
    }
    return hasPlaced
  }

  private func claim(_ opening: DispatchState.Opening) async throws -> Bool {
    let leases = (0..<opening.count).map { _ in LeaseToken.make() }
    let operation = Claim(miner: opening.miner, classes: opening.classes, leases: leases, now: clock.now)
    state.withLock { $0.decisions.beginClaim() }
    let result: Result<[ClaimedTry], any Error>
    do {
      result = .success(try await store.write { try operation.run(in: $0) })
    } catch {
      result = .failure(error)
    }
    let start = clock.monotonic
    let claimed = (try? result.get()) ?? []
    let (link, commands) = state.withLock { state in
      (state.links[opening.miner], state.decisions.granted(claimed, to: opening.miner, at: start))
    }
    for command in commands { link?.send(command) }
    return try !result.get().isEmpty
  }
}

// MARK: - Miners

extension Dispatcher {
  /// A miner introduced itself, see ``DispatchState/connect(_:named:held:at:)``.
  func connect(
    _ record: MinerRecord, link: any MinerLink, named: [String], held: [TryRecord]
  ) -> (connection: Int, resumed: [LeaseTable.Lease], unnamed: [TryRecord]) {
    let now = clock.monotonic
    let (former, answer) = state.withLock { state in
      let answer = state.decisions.connect(record, named: named, held: held, at: now)
      return (state.links.updateValue(link, forKey: record.id), answer)
    }
    former?.replace()
    return answer
  }

  /// The miner has its welcome and may get work.
  func welcomed(_ miner: MinerID, connection: Int) {
    let (link, commands) = state.withLock { state in
      (state.links[miner], state.decisions.welcome(miner, connection: connection))
    }
    for command in commands { link?.send(command) }
    wake()
  }

  /// A connection ended. Its leases run on: the miner may be back in time.
  func disconnect(_ miner: MinerID, connection: Int) {
    state.withLock { state in
      if state.decisions.disconnect(miner, connection: connection) { state.links[miner] = nil }
    }
  }

  func drain(_ miner: MinerID) { state.withLock { $0.decisions.drain(miner) } }

  /// Takes a message, see ``DispatchState/receive(_:from:at:wall:)``.
  func receive(_ message: MinerMessage, from miner: MinerID) -> (replies: [MinerCommand], work: MinerWork?) {
    let (now, wall) = (clock.monotonic, clock.now)
    return state.withLock { $0.decisions.receive(message, from: miner, at: now, wall: wall) }
  }

  /// Renews what the miner names. Returns milliseconds of life for each that is its own, and the tokens that are not.
  func renew(_ tokens: [String], of miner: MinerID) -> (renewed: [String: Int64], lost: [String]) {
    let (now, wall) = (clock.monotonic, clock.now)
    return state.withLock { $0.decisions.renew(tokens, of: miner, at: now, wall: wall) }
  }

  /// The live lease behind a token, whoever holds it.
  func lease(token: String) -> LeaseTable.Lease? { state.withLock { $0.decisions.lease(token: token) } }

  /// The try is over: its slot is free.
  func release(_ leaseHash: String) {
    state.withLock { $0.decisions.release(leaseHash) }
    wake()
  }

  /// Tells the miner to stop a try, now or when it is back.
  func cancel(_ leaseHash: String, grace: Seconds) {
    let target = state.withLock { state -> (link: any MinerLink, token: String)? in
      guard let lease = state.decisions.cancel(leaseHash, grace: grace), let token = lease.token,
        let link = state.links[lease.miner]
      else { return nil }
      return (link, token)
    }
    target?.link.send(.cancel(lease: target?.token ?? "", grace: grace))
  }

  /// Cancels that a returning miner may not have heard.
  func pendingCancels(of resumed: [LeaseTable.Lease]) -> [MinerCommand] {
    state.withLock { $0.decisions.pendingCancels(of: resumed) }
  }

  /// Leases whose time is over, with the miner's link if it is connected all the same.
  func overdueLeases() -> [(lease: LeaseTable.Lease, link: (any MinerLink)?)] {
    let now = clock.monotonic
    return state.withLock { state in
      state.decisions.overdue(at: now).map { ($0, state.links[$0.miner]) }
    }
  }

  /// The connected miners as they stand now.
  var members: [Fleet.Member] { state.withLock { Array($0.decisions.fleet.members.values) } }

  func status(of miner: MinerID) -> MinerStatus { state.withLock { $0.decisions.fleet.status(of: miner) } }
}
