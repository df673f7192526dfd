import Clocks
import Marketplace
import Testing

@testable import Store

/// Accounts that run as many jobs as they may do not stand in the way of others.
struct HeldBackTests {
  @Test func `an account at its limit is passed over until one of its jobs ends`() async throws {
    let fixture = try await Fixture()
    let (store, maker) = (fixture.store, fixture.maker)
    let other = maker.account("other")
    let miner = maker.miner(fixture.account.id)
    try await store.write { market in
      try market.save(other)
      try market.save(miner)
    }
    func submit(_ account: AccountID) async throws -> JobID {
      let operation = Submission(
        account: account, specification: JobSpecification(runner: "noop"), newID: maker.id(), now: fixture.clock.now)
      return try await store.write { try operation.run(in: $0).job.id }
    }
    var own: [JobID] = []
    for _ in 0..<5 { own.append(try await submit(fixture.account.id)) }
    let foreign = try await submit(other.id)
    func claim(_ leases: [String]) async throws -> Claim.Outcome {
      try await store.write { market in
        try Claim(
          miner: miner.id, classes: try market.pendingClasses().map(\.id), leases: leases, now: Maker.start,
          runningLimit: 2
        ).outcome(in: market)
      }
    }
    let first = try await claim(["a", "b", "c", "d"])
    #expect(Set(first.claimed.map(\.job.id)) == [own[0], own[1], foreign])
    #expect(first.heldBack == Array(own[2...]) && first.fullAccounts == [fixture.account.id])
    #expect(try await store.read { try $0.pendingClasses() }.map(\.ready) == [0])
    let release = HeldBackRelease(runningLimit: 2)
    #expect(try await store.read { try release.look(in: $0) }.isDue == false)
    let end = EndTry(
      leaseHash: LeaseToken.hash("a"), miner: miner.id, end: .completed(exitCode: 0, result: nil),
      backoff: Seconds(1), now: Maker.start)
    _ = try await store.write { try end.run(in: $0) }
    #expect(try await store.read { try release.look(in: $0) }.isDue)
    // Room for one: the first of them.
    #expect(try await store.write { try release.run(in: $0) } == [fixture.account.id])
    #expect(try await claim(["e", "f"]).claimed.map(\.job.id) == [own[2]])
    #expect(try await store.read { try $0.counts() } == [.pending: 2, .assigned: 3, .completed: 1])
    // Ending while it is held back leaves no trace in the counters.
    let cancel = Cancellation(
      job: own[4], account: fixture.account.id, reason: nil, grace: Seconds(1), now: Maker.start)
    _ = try await store.write { try cancel.run(in: $0) }
    #expect(try await store.read { try $0.pendingClasses() }.map(\.ready) == [0])
    #expect(try await store.read { try $0.counts() } == [.pending: 1, .assigned: 3, .completed: 1, .canceled: 1])
  }

  @Test func `how long jobs took is kept by their requirements`() async throws {
    let fixture = try await Fixture()
    let kinds = ["a", "b"].map { Requirements(runner: $0, constraints: Constraints()) }
    for mean in [Seconds(1), Seconds(2)] {
      try await fixture.store.write { market in
        for kind in kinds { try market.save(RunTime(requirements: kind, mean: mean)) }
      }
    }
    let found = try await fixture.store.read { try $0.runTimes() }
    #expect(Set(found) == Set(kinds.map { RunTime(requirements: $0, mean: Seconds(2)) }))
  }
}
