import Clocks
import Marketplace
import Store
import StoreInMemory
import Wire

@testable import Coordinator

/// Claiming and maintenance.
extension SimCoordinator {
  // MARK: Claiming

  func wake() {
    mustClaim = true
    guard !isClaiming else { return }
    isClaiming = true
    host.after(0) { self.claimRound() }
  }

  private func claimRound() {
    mustClaim = false
    let available = dispatch.fleet.available
    guard !available.isEmpty else { return endClaiming() }
    guard !dispatch.heldBack.isEmpty else { return claimReady() }
    let operation = HeldBackRelease(runningLimit: faults.runningLimit)
    guard let found = try? store.look({ try operation.look(in: $0) }) else { return endClaiming() }
    guard found.isDue else {
      dispatch.heldBack = found.accounts
      return claimReady()
    }
    write("release of held back jobs") {
      try operation.run(in: $0)
    } then: { [self] result in
      guard case .success(let left) = result else { return host.after(1_000) { self.claimRound() } }
      dispatch.heldBack = left
      claimReady()
    }
  }

  private func claimReady() {
    let classes = (try? store.look { try $0.pendingClasses() }) ?? []
    claim(DispatchState.openings(for: dispatch.fleet.available, classes: classes), hasPlaced: false)
  }

  private func endClaiming() {
    isClaiming = false
    if mustClaim { wake() }
  }

  private func claim(_ openings: [DispatchState.Opening], hasPlaced: Bool) {
    guard let opening = openings.first else { return hasPlaced ? claimRound() : endClaiming() }
    let leases = (0..<opening.count).map { _ in world.newToken("lt_") }
    let operation = Claim(
      miner: opening.miner, classes: opening.classes, leases: leases, now: host.clock.now,
      runningLimit: faults.runningLimit)
    guard dispatch.beginClaim() else { return endClaiming() }
    write("claim") {
      try operation.outcome(in: $0)
    } then: { [self] result in
      let outcome = try? result.get()
      deliver(outcome, to: opening)
      guard let outcome else { return host.after(1_000) { self.claimRound() } }
      claim(
        Array(openings.dropFirst()), hasPlaced: hasPlaced || !outcome.claimed.isEmpty || !outcome.heldBack.isEmpty)
    }
  }

  func deliver(_ outcome: Claim.Outcome?, to opening: DispatchState.Opening) {
    let claimed = outcome?.claimed ?? []
    for item in claimed { world.note("claimed \(item.job.id) try \(item.attempt.number) for \(opening.miner)") }
    let link = links[opening.miner]
    for command in dispatch.granted(outcome, to: opening, at: monotonic) { link?.send(command) }
    for item in claimed { remembered[item.lease] = dispatch.lease(token: item.lease) }
  }

  /// Room for a job in the commit of its own submission.
  func beginPlacing(_ specification: JobSpecification) -> DispatchState.Opening? {
    let classes = (try? store.look { try $0.pendingClasses() }) ?? []
    guard !classes.contains(where: { $0.ready > 0 }) else { return nil }
    let opening = dispatch.placement(of: Requirements(of: specification), demand: links.mapValues { _ in .max })
    guard let opening, dispatch.beginClaim() else { return nil }
    return opening
  }

  func claim(
    for opening: DispatchState.Opening, _ specification: JobSpecification, lease: String, at now: Timestamp,
    in market: any MarketTransaction
  ) throws -> Claim.Outcome {
    let classes = [try market.classID(of: Requirements(of: specification))]
    let operation = Claim(
      miner: opening.miner, classes: classes, leases: [lease], now: now, runningLimit: faults.runningLimit)
    return try operation.outcome(in: market)
  }

  // MARK: Maintenance

  func expireLeases() { expire(dispatch.overdue(at: monotonic)) }

  private func expire(_ overdue: [LeaseTable.Lease]) {
    guard let lease = overdue.first else { return }
    let next: (Bool) -> Void = { [self] isDone in
      guard isDone else { return }
      if let token = lease.token { links[lease.miner]?.send(.leases(renewed: [:], lost: [token])) }
      expire(Array(overdue.dropFirst()))
    }
    if lease.isRevoked, lease.stop?.reason == .timeout {
      timeOut(lease, then: next)
    } else {
      lose(lease, "the miner was not heard from for the length of its lease", then: next)
    }
  }

  func revokeOverruns() {
    for lease in dispatch.revokeOverruns(at: monotonic) {
      if let token = lease.token { links[lease.miner]?.send(.leases(renewed: [:], lost: [token])) }
    }
  }

  func expireQueue() {
    let now = host.clock.now
    guard let due = try? store.look({ try $0.expiring(at: now, limit: 1) }), !due.isEmpty else { return }
    write("expiry") {
      try ExpirySweep(now: now, limit: 500).run(in: $0)
    } then: { _ in
    }
  }

  func releaseAvailable() {
    let now = host.clock.now
    guard let next = try? store.look({ try $0.nextAvailable() }), next <= now else { return }
    write("release") {
      try $0.releaseAvailable(at: now)
    } then: { [self] result in
      if case .success(let count) = result, count > 0 { wake() }
    }
  }
}
