import Clocks
import Marketplace
import Store
import Testing
import Wire

@testable import Coordinator

/// Claims in the commit of a submission, and who looks for work when.
@Suite(.timeLimit(.minutes(5))) struct PlacingTests {
  private static let noop = JobSpecification(runner: "noop")

  private func world(slots: Int) async throws -> DispatchWorld {
    let world = try DispatchWorld(seed: 1)
    try await world.addAccount(.enterprise)
    var offer = MinerOffer(runners: ["noop"], slots: slots)
    offer.cpus = 1
    try await world.join(offer)
    // The first look: nothing is there.
    _ = try await world.settle()
    return world
  }

  @Test func `a job that meets an idle miner is placed in its own commit`() async throws {
    let world = try await world(slots: 2)
    let job = try await world.submit(Self.noop, by: world.accounts[0])
    #expect(world.placed.count == 1)
    let events = try await world.store.read { try $0.events(after: 0, account: nil, job: job.id, limit: 10) }
    #expect(events.map(\.state) == [.pending, .assigned])
    #expect(try await world.settle().map(\.assignment.job) == [job.id])
    try await world.close()
  }

  @Test func `who waits is not overtaken by a submission`() async throws {
    let world = try await world(slots: 1)
    let first = try await world.submit(Self.noop, by: world.accounts[0])
    var other = Self.noop
    other.constraints.cpus = 1
    let second = try await world.submit(other, by: world.accounts[0])
    #expect(world.placed.count == 1)
    let held = try #require(try await world.settle().first)
    #expect(held.assignment.job == first.id)
    try await world.end(held, .completed(exitCode: 0, result: nil), by: held.link.miner.id)
    // The slot is free and nobody has looked yet.
    _ = try await world.submit(Self.noop, by: world.accounts[0])
    #expect(world.placed.count == 1)
    #expect(try await world.settle().map(\.assignment.job) == [second.id])
    try await world.close()
  }

  @Test func `a round that finds a placing in its way comes back`() async throws {
    let world = try await world(slots: 2)
    let link = try #require(world.links.values.first?.link)
    let placing = try #require(world.dispatcher.beginPlacing(Self.noop))
    #expect(world.dispatcher.beginPlacing(Self.noop) == nil)
    let waiting = try await world.submit(Self.noop, by: world.accounts[0])
    #expect(try await !world.dispatcher.claimOnce())
    let running = Task { [dispatcher = world.dispatcher] in await dispatcher.run() }
    world.dispatcher.placed(placing, world.id(), nil)
    var arrivals = link.arrivals.makeAsyncIterator()
    #expect(await arrivals.next()?.job == waiting.id)
    running.cancel()
    await running.value
    try await world.close()
  }

  /// One slot, so that each job waits for the end of the one before: a wake that is saved wrongly stops it all.
  @Test func `nothing is left lying when looks are saved`() async throws {
    let world = try await world(slots: 1)
    let link = try #require(world.links.values.first?.link)
    let running = Task { [dispatcher = world.dispatcher] in await dispatcher.run() }
    var arrivals = link.arrivals.makeAsyncIterator()
    for round in 0..<100 {
      let jobs = round % 3 + 1
      for _ in 0..<jobs { _ = try await world.submit(Self.noop, by: world.accounts[0]) }
      for _ in 0..<jobs {
        let assignment = try #require(await arrivals.next())
        try await world.end(
          DispatchWorld.Held(link: link, assignment: assignment), .completed(exitCode: 0, result: nil),
          by: link.miner.id)
      }
    }
    running.cancel()
    await running.value
    try await world.close()
  }
}
