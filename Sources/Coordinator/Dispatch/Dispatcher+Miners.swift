import Clocks
import Instruments
import Marketplace
import Store
import Synchronization
import Wire

/// Miners that come, speak and go, and the leases they hold.
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

  /// A miner that speaks REST was heard, see ``DispatchState/attach(_:isLinked:held:term:at:)``. Returns the
  /// connection's number.
  func attach(_ record: MinerRecord, link: any MinerLink, held: [TryRecord], term: Seconds) -> Int {
    let now = clock.monotonic
    let (former, connection, commands) = state.withLock { state in
      let former = state.links.updateValue(link, forKey: record.id)
      let answer = state.decisions.attach(record, isLinked: former === link, held: held, term: term, at: now)
      return (former, answer.connection, answer.commands)
    }
    if let former, former !== link { former.replace() }
    for command in commands { link.send(command) }
    wake()
    return connection
  }

  /// The live leases of a miner, and the grace of those that are being canceled.
  func held(by miner: MinerID) -> (leases: [LeaseTable.Lease], cancels: [String: Seconds]) {
    state.withLock { $0.decisions.held(by: miner) }
  }

  /// Renews leases by their hashes; those that are another's or over are left alone.
  func renew(hashes: [String], of miner: MinerID) {
    let (now, wall) = (clock.monotonic, clock.now)
    state.withLock { $0.decisions.renew(hashes: hashes, of: miner, at: now, wall: wall) }
    metrics.renewed.add(hashes.count)
  }

  /// The administrator lets a miner drain, or take work again.
  func setDraining(_ miner: MinerID, _ isDraining: Bool) {
    let link = state.withLock { state in
      state.decisions.setDraining(miner, isDraining)
      return state.links[miner]
    }
    if isDraining { link?.send(.drain) } else { wake() }
  }

  /// The administrator removed a miner: it must leave.
  func remove(_ miner: MinerID) {
    let link = state.withLock { state in
      state.decisions.remove(miner)
      return state.links.removeValue(forKey: miner)
    }
    link?.dismiss(.removed)
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
    let answer = state.withLock { $0.decisions.receive(message, from: miner, at: now, wall: wall) }
    if case .leases(let renewed, _)? = answer.replies.first { metrics.renewed.add(renewed.count) }
    return answer
  }

  /// Ends the connections that a key opened. Their leases run out, unless the miners come back with another key.
  func revoke(keyHash: String) {
    let links = state.withLock { state in state.links.values.filter { $0.keyHash == keyHash } }
    for link in links { link.dismiss(.keyRevoked) }
  }

  /// Renews what the miner names. Returns milliseconds of life for each that is its own, and the tokens that are not.
  func renew(_ tokens: [String], of miner: MinerID) -> (renewed: [String: Int64], lost: [String]) {
    let (now, wall) = (clock.monotonic, clock.now)
    let answer = state.withLock { $0.decisions.renew(tokens, of: miner, at: now, wall: wall) }
    metrics.renewed.add(answer.renewed.count)
    return answer
  }

  /// The live lease behind a token, whoever holds it.
  func lease(token: String) -> LeaseTable.Lease? { state.withLock { $0.decisions.lease(token: token) } }

  /// Whether a lease of this hash is held.
  func isLive(_ leaseHash: String) -> Bool { state.withLock { $0.decisions.leases.leases[leaseHash] != nil } }

  /// The try is over: its slot is free.
  func release(_ leaseHash: String) {
    state.withLock { $0.decisions.release(leaseHash) }
    wakeForRoom()
  }

  /// Tells the miner to stop a try, now or when it is back.
  func cancel(_ leaseHash: String, grace: Seconds) {
    let now = clock.monotonic
    let target = state.withLock { state -> (link: any MinerLink, token: String)? in
      guard let lease = state.decisions.cancel(leaseHash, grace: grace, at: now), let token = lease.token,
        let link = state.links[lease.miner]
      else { return nil }
      return (link, token)
    }
    target?.link.send(.cancel(lease: target?.token ?? "", grace: grace))
  }

  /// The program of a try runs, for no longer than its time-out.
  func started(_ leaseHash: String, timeout: Seconds) {
    let now = clock.monotonic
    state.withLock { $0.decisions.started(leaseHash, timeout: timeout, at: now) }
  }

  /// Leases that are taken back because their miners did not stop the job in time, with the links to tell them.
  func revokeOverruns() -> [(lease: LeaseTable.Lease, link: (any MinerLink)?)] {
    let now = clock.monotonic
    return state.withLock { state in
      state.decisions.revokeOverruns(at: now).map { ($0, state.links[$0.miner]) }
    }
  }

  /// Accounts that run as many jobs as they may, while others of theirs wait.
  var accountsHeldBack: Set<AccountID> { state.withLock { $0.decisions.heldBack } }

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

  /// Tries that miners hold.
  var leaseCount: Int { state.withLock { $0.decisions.leases.leases.count } }

  /// The connected miners as they stand now.
  var members: [Fleet.Member] { state.withLock { Array($0.decisions.fleet.members.values) } }

  /// Whose miner it is, when it is connected.
  func account(of miner: MinerID) -> AccountID? {
    state.withLock { $0.decisions.fleet.members[miner]?.record.account }
  }

  func status(of miner: MinerID) -> MinerStatus { state.withLock { $0.decisions.fleet.status(of: miner) } }
}
