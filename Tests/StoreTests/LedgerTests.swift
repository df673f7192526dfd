import Clocks
import Marketplace
import Testing

@testable import Store

/// Who pays, who is paid: G14. The clock is set by hand, so that hours cost nothing.
struct LedgerTests {
  private static let fee = FeeRate(basisPoints: 500) ?? .none

  /// A market with one miner whose GPUs have a list price.
  private struct Shop {
    let fixture: Fixture
    let miner: MinerRecord

    init(gpu: String, count: Int = 1) async throws {
      fixture = try await Fixture()
      var miner = fixture.maker.miner(fixture.account.id)
      miner.offer.gpus = Array(repeating: GPUDevice(name: gpu, memoryMiB: 32_768), count: count)
      self.miner = miner
      try await save(miner)
    }

    func save(_ miner: MinerRecord) async throws { try await fixture.store.write { try $0.save(miner) } }

    func claim(_ lease: String, _ edit: (inout JobSpecification) -> Void = { _ in }) async throws -> Job {
      let job = fixture.maker.job(fixture.account.id, at: fixture.clock.now, edit)
      try await fixture.insert([job])
      return try #require(try await claimAgain(lease))
    }

    func claimAgain(_ lease: String) async throws -> Job? {
      let (miner, now) = (miner.id, fixture.clock.now)
      return try await fixture.store.write { market in
        let classes = try market.pendingClasses().map(\.id)
        return try Claim(miner: miner, classes: classes, leases: [lease], now: now).run(in: market).first?.job
      }
    }

    func start(_ lease: String) async throws {
      let operation = StartTry(leaseHash: LeaseToken.hash(lease), miner: miner.id, now: fixture.clock.now)
      _ = try await fixture.store.write { try operation.run(in: $0) }
    }

    func end(_ lease: String, _ end: TryEnd, byMiner: Bool = true, ago: Seconds? = nil) async throws -> Job {
      var operation = EndTry(
        leaseHash: LeaseToken.hash(lease), miner: byMiner ? miner.id : nil, end: end, backoff: Seconds(milliseconds: 0),
        fee: LedgerTests.fee, now: fixture.clock.now)
      operation.endedAgo = ago
      return try await fixture.store.write { [operation] in try operation.run(in: $0) }
    }

    func cancel(_ job: Job) async throws {
      let operation = Cancellation(
        job: job.id, account: job.account, reason: nil, grace: Seconds(5), now: fixture.clock.now)
      _ = try await fixture.store.write { try operation.run(in: $0) }
    }

    func balance(_ party: String) async throws -> Money {
      try await fixture.store.read { try $0.balance(of: party).amount }
    }

    func checkParties(paid: Int64, fee: Int64) async throws {
      #expect(try await balance(fixture.account.id.rawValue) == Money(micros: -paid))
      #expect(try await balance(miner.id.rawValue) == Money(micros: paid - fee))
      #expect(try await balance(LedgerLine.market) == Money(micros: fee))
      let report = try await fixture.store.read { try $0.checkLedger() }
      #expect(report.isBalanced && report.charged == Money(micros: paid))
    }
  }

  @Test func `V100, 1 h, normal: 0.05`() async throws {
    let shop = try await Shop(gpu: "V100")
    _ = try await shop.claim("a") { $0.constraints.gpu = "V100" }
    shop.fixture.clock.advance(by: Seconds(600))
    try await shop.start("a")
    shop.fixture.clock.advance(by: Seconds(3600))
    let job = try await shop.end("a", .completed(exitCode: 0, result: nil))
    #expect(job.cost == Money(decimal: "0.05"))
    try await shop.checkParties(paid: 50_000, fee: 2_500)
  }

  /// The coordinator was away when it ended: it is dated and charged by what the miner says, within its own run.
  @Test(arguments: [(7200, 3600, "0.05"), (0, 10_800, "0.15"), (1_000_000, 0, "0")] as [(Int64, Int64, String)])
  func `a late delivery counts from when it ended`(ago: Int64, ran: Int64, cost: String) async throws {
    let shop = try await Shop(gpu: "V100")
    _ = try await shop.claim("a") { $0.constraints.gpu = "V100" }
    try await shop.start("a")
    let start = shop.fixture.clock.now
    shop.fixture.clock.advance(by: Seconds(10_800))
    let job = try await shop.end("a", .completed(exitCode: 0, result: nil), ago: Seconds(ago))
    #expect(job.completedAt == start + Seconds(ran) && job.cost == Money(decimal: cost))
    let attempt = try await shop.fixture.store.read { try $0.tryRecord(of: job.id, number: 1) }
    #expect(attempt?.endedAt == job.completedAt)
  }

  /// Whoever waits again does so from now on.
  @Test func `a late failure that is tried again waits from its delivery`() async throws {
    let shop = try await Shop(gpu: "V100")
    _ = try await shop.claim("a") { $0.retryOn = [.exitNonzero] }
    try await shop.start("a")
    shop.fixture.clock.advance(by: Seconds(3600))
    let job = try await shop.end("a", .failed(JobError(.exitNonzero, "x"), exitCode: 1), ago: Seconds(1800))
    #expect(job.state == .pending && job.completedAt == nil && job.availableAt == shop.fixture.clock.now)
  }

  @Test func `A100 × 4, 4 h, high: 2.40`() async throws {
    let shop = try await Shop(gpu: "A100", count: 4)
    _ = try await shop.claim("a") {
      $0.constraints.gpu = "A100"
      $0.constraints.gpuCount = 4
      $0.priority = .high
    }
    try await shop.start("a")
    shop.fixture.clock.advance(by: Seconds(4 * 3600))
    let job = try await shop.end("a", .completed(exitCode: 0, result: nil))
    #expect(job.cost == Money(decimal: "2.40"))
    try await shop.checkParties(paid: 2_400_000, fee: 120_000)
  }

  @Test func `V100 canceled after 30 min: 0.025`() async throws {
    let shop = try await Shop(gpu: "V100")
    let job = try await shop.claim("a") { $0.constraints.gpu = "V100" }
    try await shop.start("a")
    shop.fixture.clock.advance(by: Seconds(1800))
    try await shop.cancel(job)
    let ended = try await shop.end("a", .canceled)
    #expect(ended.state == .canceled && ended.cost == Money(decimal: "0.025"))
    try await shop.checkParties(paid: 25_000, fee: 1_250)
  }

  @Test func `queue time, lost tries and failures cost nothing`() async throws {
    let shop = try await Shop(gpu: "V100")
    _ = try await shop.claim("a") { $0.maxTries = 2 }
    try await shop.start("a")
    shop.fixture.clock.advance(by: Seconds(3600))
    #expect(try await shop.end("a", .lost(reason: "silent"), byMiner: false).state == .pending)
    shop.fixture.clock.advance(by: Seconds(60))
    _ = try await shop.fixture.store.write { [now = shop.fixture.clock.now] in try $0.releaseAvailable(at: now) }
    #expect(try await shop.claimAgain("b") != nil)
    try await shop.start("b")
    shop.fixture.clock.advance(by: Seconds(3600))
    #expect(try await shop.end("b", .failed(JobError(.launchFailed, "x"), exitCode: nil)).cost == .zero)
    let pending = shop.fixture.maker.job(shop.fixture.account.id, at: shop.fixture.clock.now)
    try await shop.fixture.insert([pending])
    try await shop.cancel(pending)
    // Assigned, canceled before it started.
    let assigned = try await shop.claim("c")
    shop.fixture.clock.advance(by: Seconds(3600))
    try await shop.cancel(assigned)
    #expect(try await shop.end("c", .canceled).cost == .zero)
    try await shop.checkParties(paid: 0, fee: 0)
  }

  /// The lost try's hour is not paid, the second one's is.
  @Test func `only the accepted try is charged`() async throws {
    let shop = try await Shop(gpu: "V100")
    _ = try await shop.claim("a")
    try await shop.start("a")
    shop.fixture.clock.advance(by: Seconds(3600))
    _ = try await shop.end("a", .lost(reason: "silent"), byMiner: false)
    _ = try await shop.claimAgain("b")
    try await shop.start("b")
    shop.fixture.clock.advance(by: Seconds(1800))
    #expect(try await shop.end("b", .completed(exitCode: 0, result: nil)).cost == Money(micros: 25_000))
    await #expect(throws: MarketError.staleLease) {
      try await shop.end("a", .completed(exitCode: 0, result: nil))
    }
    try await shop.checkParties(paid: 25_000, fee: 1_250)
  }

  @Test func `a price raised after the claim does not count`() async throws {
    let shop = try await Shop(gpu: "V100")
    _ = try await shop.claim("a") { $0.constraints.maximumPrice = Money(micros: 50_000) }
    try await shop.start("a")
    var dearer = shop.miner
    dearer.offer.price = Money(micros: 9_000_000)
    try await shop.save(dearer)
    shop.fixture.clock.advance(by: Seconds(3600))
    #expect(try await shop.end("a", .completed(exitCode: 0, result: nil)).cost == Money(micros: 50_000))
  }

  @Test func `a removed or drained miner claims nothing`() async throws {
    let shop = try await Shop(gpu: "V100")
    try await shop.fixture.insert([shop.fixture.maker.job(shop.fixture.account.id)])
    var draining = shop.miner
    draining.isDraining = true
    try await shop.save(draining)
    #expect(try await shop.claimAgain("a") == nil)
    try await shop.fixture.store.write { [id = shop.miner.id] in try $0.removeMiner(id) }
    #expect(try await shop.claimAgain("a") == nil)
  }

  @Test func `a damaged ledger is found`() async throws {
    let shop = try await Shop(gpu: "V100")
    let job = try await shop.claim("a")
    try await shop.start("a")
    shop.fixture.clock.advance(by: Seconds(3600))
    _ = try await shop.end("a", .completed(exitCode: 0, result: nil))
    try await shop.fixture.store.write { market in
      let session = try #require(market as? SQLiteSession)
      try session.connection.execute(SQL("UPDATE ledger SET amount = amount + 1 WHERE amount < 0"))
    }
    let report = try await shop.fixture.store.read { try $0.checkLedger() }
    #expect(!report.isBalanced && report.sum == Money(micros: 1))
    #expect(report.faults.map(\.job) == [job.id.rawValue])
    #expect(report.wrongBalances == [job.account.rawValue])
  }
}
