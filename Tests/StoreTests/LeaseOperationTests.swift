import Clocks
import JSON
import Marketplace
import Testing

@testable import Store

/// Claim, start, end: every write of a miner names its lease, and only the live one counts.
struct LeaseOperationTests {
  /// A job that one of two miners has claimed.
  private struct Claimed {
    let fixture: Fixture
    let miner: MinerRecord
    let other: MinerRecord
    let job: Job

    init(_ edit: @escaping (inout JobSpecification) -> Void = { _ in }) async throws {
      fixture = try await Fixture()
      let (one, two) = (fixture.maker.miner(fixture.account.id), fixture.maker.miner(fixture.account.id, instance: "2"))
      (miner, other) = (one, two)
      job = fixture.maker.job(fixture.account.id, edit)
      try await fixture.insert([job])
      try await fixture.store.write { market in
        try market.save(one)
        try market.save(two)
      }
    }

    func claim(_ lease: String, by miner: MinerRecord) async throws -> [ClaimedTry] {
      let now = fixture.clock.now
      return try await fixture.store.write { market in
        let classes = try market.pendingClasses().map(\.id)
        return try Claim(miner: miner.id, classes: classes, leases: [lease], now: now).run(in: market)
      }
    }

    func start(_ lease: String, by miner: MinerRecord) async throws -> Job {
      let operation = StartTry(leaseHash: LeaseToken.hash(lease), miner: miner.id, now: fixture.clock.now)
      return try await fixture.store.write { try operation.run(in: $0) }
    }

    func end(_ lease: String, by miner: MinerRecord?, _ end: TryEnd) async throws -> Job {
      let operation = EndTry(
        leaseHash: LeaseToken.hash(lease), miner: miner?.id, end: end, backoff: Seconds(milliseconds: 0),
        now: fixture.clock.now)
      return try await fixture.store.write { try operation.run(in: $0) }
    }

    func stored() async throws -> Job {
      let id = job.id
      return try #require(try await fixture.store.read { try $0.job(id) })
    }
  }

  @Test func `a job is claimed once`() async throws {
    let market = try await Claimed()
    #expect(try await market.claim("a", by: market.miner).map(\.job.id) == [market.job.id])
    #expect(try await market.claim("b", by: market.other).isEmpty)
  }

  @Test func `only the holder of the live lease may write`() async throws {
    let market = try await Claimed()
    _ = try await market.claim("a", by: market.miner)
    let before = try await market.stored()
    for (lease, miner) in [("a", market.other), ("unknown", market.miner)] {
      await #expect(throws: MarketError.staleLease) { try await market.start(lease, by: miner) }
      await #expect(throws: MarketError.staleLease) {
        try await market.end(lease, by: miner, .completed(exitCode: 0, result: nil))
      }
    }
    #expect(try await market.stored() == before)
  }

  @Test func `the result of a lost lease is refused and changes nothing`() async throws {
    let market = try await Claimed()
    _ = try await market.claim("a", by: market.miner)
    #expect(try await market.end("a", by: nil, .lost(reason: "silent")).state == .pending)
    #expect(try await market.claim("b", by: market.other).count == 1)
    let before = try await market.stored()
    await #expect(throws: MarketError.staleLease) {
      try await market.end("a", by: market.miner, .completed(exitCode: 0, result: "late"))
    }
    #expect(try await market.stored() == before)
    #expect(try await market.end("b", by: market.other, .completed(exitCode: 0, result: "mine")).result == "mine")
  }

  /// Once a try has ended, in whatever way, neither its holder nor anybody else can say more under its token.
  @Test(
    arguments: [
      TryEnd.completed(exitCode: 0, result: nil), .failed(JobError(.exitNonzero, "1"), exitCode: 1), .canceled,
      .refused(reason: "x"), .lost(reason: "x"),
    ])
  func `a stale token changes nothing`(end: TryEnd) async throws {
    let market = try await Claimed { $0.maxTries = 2 }
    _ = try await market.claim("a", by: market.miner)
    _ = try await market.start("a", by: market.miner)
    _ = try await market.end("a", by: market.miner, end)
    // Where another try follows, it is live: the old token must not touch it.
    _ = try await market.claim("b", by: market.other)
    let (id, before) = (market.job.id, try await market.stored())
    let tries = try await market.fixture.store.read { try $0.tries(of: id) }
    for miner in [market.miner, market.other] {
      await #expect(throws: MarketError.staleLease) { try await market.start("a", by: miner) }
      for late in [TryEnd.completed(exitCode: 0, result: "late"), .canceled, .lost(reason: "late")] {
        await #expect(throws: MarketError.staleLease) { try await market.end("a", by: miner, late) }
      }
    }
    // The coordinator itself, whose sweep may be late too.
    await #expect(throws: MarketError.staleLease) { try await market.end("a", by: nil, .lost(reason: "late")) }
    #expect(try await market.stored() == before)
    #expect(try await market.fixture.store.read { try $0.tries(of: id) } == tries)
    #expect(try await market.fixture.store.read { try $0.checkLedger() }.isBalanced)
  }

  /// A token that was given before is refused by the table itself: no two tries share one.
  @Test func `no two tries share a token`() async throws {
    let market = try await Claimed()
    _ = try await market.claim("a", by: market.miner)
    _ = try await market.end("a", by: nil, .lost(reason: "x"))
    await #expect(throws: StoreError.self) { try await market.claim("a", by: market.other) }
    #expect(try await market.stored().state == .pending)
  }

  @Test func `an end is taken once`() async throws {
    let market = try await Claimed()
    _ = try await market.claim("a", by: market.miner)
    _ = try await market.end("a", by: market.miner, .completed(exitCode: 0, result: nil))
    await #expect(throws: MarketError.staleLease) {
      try await market.end("a", by: market.miner, .failed(JobError(.exitNonzero, "1"), exitCode: 1))
    }
    #expect(try await market.stored().state == .completed)
  }

  @Test func `a start may be said again`() async throws {
    let market = try await Claimed()
    _ = try await market.claim("a", by: market.miner)
    let first = try await market.start("a", by: market.miner)
    market.fixture.clock.advance(by: Seconds(5))
    #expect(try await market.start("a", by: market.miner) == first)
  }

  @Test(arguments: [1, 2, 3]) func `no more tries than allowed are started`(limit: Int) async throws {
    let market = try await Claimed { $0.maxTries = limit }
    for number in 1...limit {
      #expect(try await market.claim("\(number)", by: market.miner).count == 1)
      _ = try await market.start("\(number)", by: market.miner)
      _ = try await market.end("\(number)", by: nil, .lost(reason: "silent"))
    }
    #expect(try await market.claim("again", by: market.miner).isEmpty)
    #expect(try await market.stored().state == .lost)
  }

  /// Lost tries of started programs on three miners in a row; refusals between them say nothing, anything else begins
  /// the count anew.
  @Test(arguments: [
    ("LLL", JobState.lost), ("LRLRL", .lost), ("LLFLL", .pending), ("LLl", .pending), ("LLlL", .pending),
    ("LLLl", .lost),
  ]) func `a job that takes miner after miner with it gets no other`(ends: String, expected: JobState) async throws {
    let market = try await Claimed { $0.maxTries = 50 }
    let (maker, account) = (market.fixture.maker, market.fixture.account.id)
    var last: Job?
    for (number, end) in ends.enumerated() where last?.state != .lost {
      let miner = maker.miner(account, instance: "killed \(number)")
      try await market.fixture.store.write { try $0.save(miner) }
      #expect(try await market.claim("\(number)", by: miner).count == 1)
      if end != "R", end != "l" { _ = try await market.start("\(number)", by: miner) }
      let how: TryEnd =
        switch end {
        case "R": .refused(reason: "no")
        case "F": .failed(JobError(.minerError, "x"), exitCode: nil)
        default: .lost(reason: "silent")
        }
      last = try await market.end("\(number)", by: end == "L" || end == "l" ? nil : miner, how)
    }
    #expect(last?.state == expected)
    #expect((last?.error?.code == .quarantined) == (expected == .lost))
    let states = try await market.fixture.store.read { [id = market.job.id] in try $0.tries(of: id).last?.state }
    #expect(states == .lost || ends.hasSuffix("F"))
  }

  @Test func `one flapping miner is not a series of miners`() async throws {
    let market = try await Claimed { $0.maxTries = 50 }
    for number in 0..<6 {
      let miner = number.isMultiple(of: 2) ? market.miner : market.other
      #expect(try await market.claim("\(number)", by: miner).count == 1)
      _ = try await market.start("\(number)", by: miner)
      #expect(try await market.end("\(number)", by: nil, .lost(reason: "silent")).state == .pending)
    }
  }

  @Test func `a cancel that nobody asked for gives the job to another`() async throws {
    let market = try await Claimed()
    _ = try await market.claim("a", by: market.miner)
    _ = try await market.start("a", by: market.miner)
    #expect(try await market.end("a", by: market.miner, .canceled).state == .pending)
  }

  @Test func `an hour is charged once, and the ledger sums to zero`() async throws {
    let market = try await Claimed()
    _ = try await market.claim("a", by: market.miner)
    _ = try await market.start("a", by: market.miner)
    market.fixture.clock.advance(by: Seconds(3600))
    let ended = try await market.end("a", by: market.miner, .completed(exitCode: 0, result: nil))
    #expect(ended.cost == Pricing.defaultPrice)
    let lines = try await market.fixture.store.read { try $0.ledger(of: ended.id) }
    #expect(Set(lines.map(\.amount)) == [Pricing.defaultPrice, -Pricing.defaultPrice])
    #expect(ended.resultExpiresAt == ended.completedAt.map { $0 + Plan.free.retention })
  }

  @Test(arguments: [JobErrorCode.exitNonzero, .timeout, .launchFailed]) func `failing is never paid`(
    code: JobErrorCode
  ) async throws {
    let market = try await Claimed()
    _ = try await market.claim("a", by: market.miner)
    _ = try await market.start("a", by: market.miner)
    market.fixture.clock.advance(by: Seconds(3600))
    let ended = try await market.end("a", by: market.miner, .failed(JobError(code, "x"), exitCode: 1))
    #expect(ended.state == .failed && ended.cost == .zero)
    #expect(try await market.fixture.store.read { try $0.ledger(of: ended.id) }.isEmpty)
  }

  @Test func `every change of state is in the log, in order`() async throws {
    let market = try await Claimed()
    _ = try await market.claim("a", by: market.miner)
    _ = try await market.end("a", by: nil, .lost(reason: "silent"))
    _ = try await market.claim("b", by: market.other)
    _ = try await market.start("b", by: market.other)
    _ = try await market.end("b", by: market.other, .completed(exitCode: 0, result: nil))
    let id = market.job.id
    let events = try await market.fixture.store.read { try $0.events(after: 0, account: nil, job: id, limit: 100) }
    #expect(events.map(\.state) == [.pending, .assigned, .pending, .assigned, .running, .completed])
    #expect(events.map(\.sequence) == events.map(\.sequence).sorted())
    #expect(try await market.stored().state == events.last?.state)
  }
}
