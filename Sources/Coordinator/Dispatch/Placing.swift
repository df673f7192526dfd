import Clocks
import Marketplace
import Store
import Synchronization

/// A claim in the commit of a submission: a job that finds a free miner is durable and placed at once, which saves the
/// second commit and the wait for it.
struct Placing: Sendable {
  let opening: DispatchState.Opening
  let link: any MinerLink
  let requirements: Requirements
  let lease: String
  let now: Timestamp
  let runningLimit: Int?

  /// Part of the submission's transaction. What stands first in the class is claimed, so nobody is passed over.
  func claim(in market: any MarketTransaction) throws -> Claim.Outcome {
    let claim = Claim(
      miner: opening.miner, classes: [try market.classID(of: requirements)], leases: [lease], now: now,
      runningLimit: runningLimit)
    return try claim.outcome(in: market)
  }
}

extension Dispatcher {
  /// Room for a job that is about to be submitted: a claim of one begins. What it returns must be given to
  /// ``placed(_:_:)``; nil: ``wake()`` when the job is there.
  func beginPlacing(_ specification: JobSpecification) -> Placing? {
    guard reserve?.isSpent != true else { return nil }
    let links = state.withLock { state in
      // Only where nobody waits: a job of another class may have been here before.
      state.isNothingClaimable && state.links.count <= DispatchState.searchedFleet ? state.links : [:]
    }
    guard !links.isEmpty else { return nil }
    let requirements = Requirements(of: specification)
    // Outside the lock: a link has its own.
    let demands = links.mapValues(\.demand)
    let found: (opening: DispatchState.Opening, link: any MinerLink)? = state.withLock { state in
      guard state.isNothingClaimable, let opening = state.decisions.placement(of: requirements, demand: demands),
        let link = links[opening.miner], state.decisions.beginClaim()
      else { return nil }
      return (opening, link)
    }
    guard let (opening, link) = found else { return nil }
    guard link.beginClaim(of: 1) == 1 else {
      link.endClaim()
      deliver(nil, to: opening)
      return nil
    }
    return Placing(
      opening: opening, link: link, requirements: requirements, lease: LeaseToken.make(), now: clock.now,
      runningLimit: runningLimit)
  }

  /// The submission of `job` is durable with its claim, or failed with it (nil).
  func placed(_ placing: Placing, _ job: JobID, _ outcome: Claim.Outcome?) {
    deliver(outcome, to: placing.opening)
    placing.link.endClaim()
    let mustLookAgain = state.withLock { state in
      defer { state.mustLookAgain = false }
      return state.mustLookAgain
    }
    // Where it got the slot itself, nothing is there that was not before.
    if mustLookAgain || outcome?.claimed.contains(where: { $0.job.id == job }) != true { wake() }
  }
}
