import Clocks
import Marketplace
import Store
import Testing
import TestRandomness
import Wire

@testable import Coordinator

/// Many classes, accounts and miners: whatever happens, no fitting miner idles while a job waits for it, jobs are
/// taken in the order of the queue, and nobody waits beyond the ageing bound.
@Suite struct DispatchSimulationTests {
  private static let seeds: [UInt64] = [.random(in: 0 ... .max), 1, 2, 8_468_447_505_726_757_894]

  private func offer(_ random: inout SeededGenerator) -> MinerOffer {
    var offer = MinerOffer(runners: random.chance(percent: 80) ? ["process", "noop"] : ["noop"], slots: 1)
    offer.slots = Int.random(in: 1...3, using: &random)
    offer.region = ["north", "south", nil][Int.random(in: 0..<3, using: &random)]
    offer.cpus = Int.random(in: 1...8, using: &random)
    for _ in 0..<Int.random(in: 0...2, using: &random) {
      offer.gpus.append(
        GPUDevice(
          name: random.chance(percent: 50) ? "A100" : "RTX 4090",
          memoryMiB: random.chance(percent: 50) ? 24_576 : 81_920))
    }
    return offer
  }

  private func specification(_ random: inout SeededGenerator, priorities: Bool) -> JobSpecification {
    var job = JobSpecification(runner: random.chance(percent: 70) ? "noop" : "process")
    if random.chance(percent: 30) { job.constraints.region = random.chance(percent: 50) ? "north" : "south" }
    if random.chance(percent: 30) { job.constraints.cpus = Int.random(in: 1...8, using: &random) }
    if random.chance(percent: 30) { job.constraints.gpu = random.chance(percent: 50) ? "A100" : "RTX 4090" }
    if random.chance(percent: 10) { job.constraints.minimumVRAM = 80 }
    if priorities { job.priority = Priority.allCases[Int.random(in: 0..<4, using: &random)] }
    job.maxTries = 100
    return job
  }

  @Test(arguments: seeds) func `no fitting miner idles, and the order is kept`(seed: UInt64) async throws {
    let world = try DispatchWorld(seed: seed)
    for plan in [Plan.free, .free, .pro, .enterprise] { try await world.addAccount(plan) }
    for _ in 0..<6 { try await world.join(offer(&world.random)) }
    for _ in 0..<100 {
      try await act(in: world, priorities: true)
      let before = Set(try await world.ready().map(\.id))
      let given = try await world.settle()
      let waiting = try await world.ready()
      let free = world.dispatcher.members.filter { $0.freeSlots > 0 }
      for job in waiting {
        let requirements = Requirements(of: job.specification)
        #expect(
          !free.contains { requirements.missing(in: $0.record.offer).isEmpty }, "seed \(seed): \(job.id) waits idly")
        // It stood there all the time: who fits it took only what stands before it.
        guard before.contains(job.id) else { continue }
        for taken in given
        where !world.placed.contains(taken.assignment.lease)
          && requirements.missing(in: taken.link.miner.offer).isEmpty
        {
          let other = try #require(try await world.store.read { try $0.job(taken.assignment.job) })
          #expect(other.rank <= job.rank, "seed \(seed): \(other.id) overtook \(job.id)")
        }
      }
    }
    // Of these seeds this one lets a job meet an idle miner while nobody waits.
    if seed == 1 { #expect(!world.placed.isEmpty) }
    try await world.close()
  }

  /// The bound: those that stood before it, and of each account what virtual time gives it until the job's own start.
  @Test(arguments: seeds) func `nobody waits beyond the ageing bound`(seed: UInt64) async throws {
    let world = try DispatchWorld(seed: seed)
    for plan in [Plan.free, .free, .pro, .enterprise] { try await world.addAccount(plan) }
    var bounds: [JobID: (requirements: Requirements, claims: Int, bound: Int)] = [:]
    var most = 0.0
    for _ in 0..<4 { try await world.join(offer(&world.random)) }
    for _ in 0..<120 {
      for _ in 0..<Int.random(in: 1...4, using: &world.random) {
        let account = world.accounts[Int.random(in: 0..<4, using: &world.random)]
        let ready = try await world.ready()
        let time = try await world.store.read { try $0.virtualTime() }
        let job = try await world.submit(specification(&world.random, priorities: false), by: account)
        let later = world.accounts.reduce(0) { sum, other in
          sum + Int((job.rank - time) * other.plan.weight / FairQueue.step) + 1
        }
        bounds[job.id] = (
          Requirements(of: job.specification), 0, ready.count { $0.rank <= job.rank } + later
        )
      }
      let given = try await world.settle()
      for taken in given { bounds[taken.assignment.job] = nil }
      for taken in given {
        for (id, entry) in bounds where entry.requirements.missing(in: taken.link.miner.offer).isEmpty {
          bounds[id]?.claims += 1
          most = max(most, Double(entry.claims + 1) / Double(entry.bound))
          #expect(entry.claims + 1 <= entry.bound, "seed \(seed): \(id) was passed over too often")
        }
      }
      if let one = world.held.randomElement(using: &world.random) {
        try await world.end(one, .completed(exitCode: 0, result: nil), by: one.link.miner.id)
      }
    }
    #expect(most > 0, "seed \(seed): nobody ever waited")
    try await world.close()
  }

  /// One step of the world.
  private func act(in world: DispatchWorld, priorities: Bool) async throws {
    switch Int.random(in: 0..<10, using: &world.random) {
    case 0: try await world.join(offer(&world.random))
    case 1: if let miner = world.links.keys.min(), world.links.count > 3 { try await world.leave(miner) }
    case 2...5:
      for _ in 0..<Int.random(in: 1...5, using: &world.random) {
        let account = world.accounts[Int.random(in: 0..<4, using: &world.random)]
        _ = try await world.submit(specification(&world.random, priorities: priorities), by: account)
      }
    default:
      world.clock.advance(by: Seconds(1))
      if let one = world.held.randomElement(using: &world.random) {
        let end: TryEnd =
          world.random.chance(percent: 80) ? .completed(exitCode: 0, result: nil) : .refused(reason: "no")
        try await world.end(one, end, by: one.link.miner.id)
      }
    }
  }

  @Test func `an account at its limit leaves the miners to others`() async throws {
    let world = try DispatchWorld(seed: 5, runningLimit: 2)
    for _ in 0..<2 { try await world.addAccount(.free) }
    try await world.join({ () -> MinerOffer in MinerOffer(runners: ["noop"], slots: 10) }())
    for _ in 0..<30 { _ = try await world.submit(JobSpecification(runner: "noop"), by: world.accounts[0]) }
    let other = try await world.submit(JobSpecification(runner: "noop"), by: world.accounts[1])
    #expect(try await world.settle().count == 3)
    #expect(world.held.contains { $0.assignment.job == other.id })
    #expect(world.dispatcher.accountsHeldBack == [world.accounts[0].id])
    for round in 1...30 {
      let one = try #require(world.held.first)
      try await world.end(one, .completed(exitCode: 0, result: nil), by: one.link.miner.id)
      _ = try await world.settle()
      #expect(world.held.count <= 3, "round \(round)")
    }
    #expect(try await world.ready().isEmpty)
    #expect(world.dispatcher.accountsHeldBack.isEmpty)
  }
}
