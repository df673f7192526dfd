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
    let classes = (try? store.look { try $0.pendingClasses() }) ?? []
    claim(DispatchState.openings(for: available, classes: classes), hasPlaced: false)
  }

  private func endClaiming() {
    isClaiming = false
    if mustClaim { wake() }
  }

  private func claim(_ openings: [DispatchState.Opening], hasPlaced: Bool) {
    guard let opening = openings.first else { return hasPlaced ? claimRound() : endClaiming() }
    let leases = (0..<opening.count).map { _ in world.newToken("lt_") }
    let operation = Claim(miner: opening.miner, classes: opening.classes, leases: leases, now: host.clock.now)
    dispatch.beginClaim()
    write("claim") {
      try operation.run(in: $0)
    } then: { [self] result in
      let claimed = (try? result.get()) ?? []
      for item in claimed { world.note("claimed \(item.job.id) try \(item.attempt.number) for \(opening.miner)") }
      let link = links[opening.miner]
      for command in dispatch.granted(claimed, to: opening.miner, at: monotonic) { link?.send(command) }
      for item in claimed { remembered[item.lease] = dispatch.lease(token: item.lease) }
      guard case .success = result else { return host.after(1_000) { self.claimRound() } }
      claim(Array(openings.dropFirst()), hasPlaced: hasPlaced || !claimed.isEmpty)
    }
  }

  // MARK: Maintenance

  func expireLeases() { expire(dispatch.overdue(at: monotonic)) }

  private func expire(_ overdue: [LeaseTable.Lease]) {
    guard let lease = overdue.first else { return }
    lose(lease, "the miner was not heard from for the length of its lease") { [self] isDone in
      guard isDone else { return }
      if let token = lease.token { links[lease.miner]?.send(.leases(renewed: [:], lost: [token])) }
      expire(Array(overdue.dropFirst()))
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
