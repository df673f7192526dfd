import Clocks
import Marketplace
import Testing
import TestRandomness

@testable import Store

/// A hundred thousand things that miners and clients do, in any order, right and wrong: the ledger sums to zero after
/// every group of them, and what accounts paid is what their jobs cost.
struct LedgerRandomTests {
  private struct Player {
    let account: AccountID
    let miners: [MinerID]
    let maker: Maker
    var random: SeededGenerator
    var now = Maker.start
    var leases: [(token: String, job: JobID)] = []
    var made = 0
    var charged: [JobID: Money] = [:]

    /// One operation. What is refused changes nothing.
    mutating func step(_ market: any MarketTransaction) throws {
      now = now + Seconds(milliseconds: Int64.random(in: 0...600_000, using: &random))
      switch Int.random(in: 0..<12, using: &random) {
      case 0...2: try submit(market)
      case 3...5: try claim(market)
      case 6, 7: try start(market)
      case 8: try cancel(market)
      default: try end(market)
      }
    }

    private mutating func submit(_ market: any MarketTransaction) throws {
      let job = maker.job(account, at: now) { specification in
        specification.maxTries = Int.random(in: 1...2, using: &random)
        specification.timeToLive = .days(366)
      }
      try market.insert(job)
      try market.append(JobEvent(of: job, at: now))
    }

    private mutating func claim(_ market: any MarketTransaction) throws {
      _ = try market.releaseAvailable(at: now)
      made += 1
      let miner = miners[Int.random(in: 0..<miners.count, using: &random)]
      let claim = Claim(miner: miner, classes: try market.pendingClasses().map(\.id), leases: ["l\(made)"], now: now)
      for item in try claim.run(in: market) { leases.append((item.lease, item.job.id)) }
      // Old ones stay in the list: they are stale.
      if leases.count > 40 { leases.removeFirst() }
    }

    private mutating func pick() -> (token: String, job: JobID)? {
      leases.isEmpty ? nil : leases[Int.random(in: 0..<leases.count, using: &random)]
    }

    private mutating func start(_ market: any MarketTransaction) throws {
      guard let lease = pick() else { return }
      let hash = LeaseToken.hash(lease.token)
      guard let miner = try market.tryRecord(leaseHash: hash)?.miner else { return }
      try ignoringRefusals { _ = try StartTry(leaseHash: hash, miner: miner, now: now).run(in: market) }
    }

    private mutating func cancel(_ market: any MarketTransaction) throws {
      guard let lease = pick() else { return }
      let cancellation = Cancellation(job: lease.job, account: account, reason: nil, grace: Seconds(0), now: now)
      try ignoringRefusals { _ = try cancellation.run(in: market) }
    }

    private mutating func end(_ market: any MarketTransaction) throws {
      guard let lease = pick() else { return }
      let ends: [TryEnd] = [
        .completed(exitCode: 0, result: nil), .completed(exitCode: 0, result: nil), .canceled, .lost(reason: "x"),
        .failed(JobError(.exitNonzero, "x"), exitCode: 1), .refused(reason: "x"),
      ]
      let end = ends[Int.random(in: 0..<ends.count, using: &random)]
      let fee = FeeRate(basisPoints: Int64.random(in: 0...10_000, using: &random)) ?? .none
      try ignoringRefusals {
        let job = try EndTry(
          leaseHash: LeaseToken.hash(lease.token), miner: nil, end: end, backoff: Seconds(milliseconds: 0), fee: fee,
          now: now
        ).run(in: market)
        if job.cost > .zero { charged[job.id] = job.cost }
      }
    }

    private func ignoringRefusals(_ body: () throws -> Void) throws {
      do { try body() } catch is MarketError {}
    }
  }

  @Test(arguments: [UInt64.random(in: 0 ... .max)])
  func `the ledger sums to zero after anything`(seed: UInt64) async throws {
    try await withFixture(seed: seed) { fixture in
      let miners = (0..<3).map { number in
        var miner = fixture.maker.miner(fixture.account.id, instance: "\(number)")
        miner.offer.price = Money(micros: Int64(number) * 777_777 + 1)
        return miner
      }
      try await fixture.store.write { market in for miner in miners { try market.save(miner) } }
      var player = Player(
        account: fixture.account.id, miners: miners.map(\.id), maker: fixture.maker,
        random: SeededGenerator(seed: seed))
      for _ in 0..<20 {
        player = try await fixture.store.write { [player] market in
          var player = player
          for _ in 0..<500 { try player.step(market) }
          return player
        }
        let (report, balance) = try await fixture.store.read { [account = fixture.account.id.rawValue] market in
          (try market.checkLedger(), try market.balance(of: account))
        }
        #expect(report.isBalanced, "seed \(seed)")
        let spent = player.charged.values.reduce(Money.zero, +)
        #expect(balance.amount == -spent && balance.lines == player.charged.count, "seed \(seed)")
        #expect(report.charged == spent, "seed \(seed)")
      }
      #expect(player.charged.count > 100, "seed \(seed)")
    }
  }
}
