import Clocks
import Marketplace
import Testing
import TestRandomness

@testable import Store

/// What the writer remembers between operations is what the rows say, whatever operations ran, failed or threw half-way.
@Suite struct WriterMemoryTests {
  /// What both the writer's memory and a reader's rows tell.
  private struct View: Equatable, Sendable {
    var jobs: [Job?]
    var tries: [TryRecord?]
    var accounts: [Account?]
    var miner: MinerRecord?
    var pending: [Int]
    var totals: [AccountTotals]
  }

  private final class World {
    let maker: Maker
    var jobs: [JobID] = []
    var leases: [String] = []
    let accounts: [Account]
    let miner: MinerRecord

    init(seed: UInt64, first: Account) {
      maker = Maker(seed: seed)
      accounts = [first, maker.account("second", plan: .pro)]
      miner = maker.miner(first.id)
    }
  }

  @Test(arguments: 0..<12) func memoryEqualsTheRows(_ seed: UInt64) async throws {
    try await withFixture(seed: seed) { fixture in
      var random = SeededGenerator(seed: seed)
      let world = World(seed: seed + 1_000, first: fixture.account)
      try await fixture.store.write { [second = world.accounts[1], miner = world.miner] market in
        try market.save(second)
        try market.save(miner)
      }
      for step in 0..<60 {
        fixture.clock.advance(by: Seconds(Int64.random(in: 0...3, using: &random)))
        let steps = (0..<Int.random(in: 1...4, using: &random)).map { _ in
          Self.step(world, at: fixture.clock.now, using: &random)
        }
        let throwsAtEnd = Int.random(in: 0..<4, using: &random) == 0
        try? await fixture.store.write { market in
          for step in steps { try? step(market) }
          if throwsAtEnd { throw Refused() }
        }
        let (jobs, leases) = (world.jobs, world.leases)
        let (accounts, miner) = (world.accounts, world.miner)
        let look: @Sendable (any MarketReader) throws -> View = { market in
          View(
            jobs: try jobs.map { try market.job($0) }, tries: try leases.map { try market.tryRecord(leaseHash: $0) },
            accounts: try accounts.map { try market.account($0.id) }, miner: try market.miner(miner.id),
            pending: try accounts.map { try market.pendingCount(account: $0.id) },
            totals: try accounts.map { try market.totals(account: $0.id) })
        }
        let remembered = try await fixture.store.write { try look($0) }
        let stored = try await fixture.store.read(look)
        #expect(remembered == stored, "seed \(seed), step \(step)")
      }
    }
  }

  /// One random operation.
  private static func step(
    _ world: World, at now: Timestamp, using random: inout SeededGenerator
  ) -> @Sendable (any MarketTransaction) throws -> Void {
    let account = world.accounts[Int.random(in: 0...1, using: &random)].id
    switch Int.random(in: 0..<9, using: &random) {
    case 0, 1, 2:
      var specification = JobSpecification(runner: "noop")
      if Bool.random(using: &random) { specification.notBefore = now + Seconds(2) }
      if Int.random(in: 0..<4, using: &random) == 0 { specification.name = String(repeating: "n", count: 5_000) }
      let submission = Submission(account: account, specification: specification, newID: world.maker.id(), now: now)
      world.jobs.append(submission.newID)
      return { _ = try submission.run(in: $0) }
    case 3, 4:
      let leases = (0..<2).map { _ in "lease-\(random.next())" }
      world.leases += leases.map(LeaseToken.hash)
      let miner = world.miner.id
      return { market in
        let classes = try market.pendingClasses().map(\.id)
        _ = try Claim(miner: miner, classes: classes, leases: leases, now: now).run(in: market)
      }
    case 5, 6, 7:
      guard let lease = world.leases.randomElement(using: &random) else { return { _ in } }
      let ends: [TryEnd] = [
        .completed(exitCode: 0, result: nil), .lost(reason: "away"), .refused(reason: "no"), .canceled,
      ]
      let end = ends[Int.random(in: 0..<ends.count, using: &random)]
      let miner = world.miner.id
      if Bool.random(using: &random) {
        return { _ = try StartTry(leaseHash: lease, miner: miner, now: now).run(in: $0) }
      }
      return { market in
        _ = try EndTry(leaseHash: lease, miner: miner, end: end, backoff: Seconds(1), now: now).run(in: market)
      }
    default:
      var miner = world.miner
      miner.lastSeenAt = now
      let seen = miner
      return { market in
        try market.save(seen)
        _ = try market.releaseAvailable(at: now)
      }
    }
  }
}

/// Which statements make the writer forget its rows.
@Suite struct HotRowTests {
  @Test(arguments: [
    ("UPDATE jobs SET rank = ? WHERE key = ?", true), ("DELETE FROM tries WHERE job = ?", true),
    ("INSERT INTO\n  accounts (id) VALUES (?)", true), ("UPDATE\nminers SET name = ?", true),
    ("SELECT * FROM jobs", false), ("UPDATE job_counts SET count = 1", false),
    ("DELETE FROM idempotency WHERE rowid IN (SELECT rowid FROM idempotency)", false),
  ])
  func statementsThatChangeRowsAreSeen(_ text: String, _ expected: Bool) {
    #expect(SQL(text).changesHotRows == expected)
    #expect(!SQL(text, keepsCache: true).changesHotRows)
  }
}
