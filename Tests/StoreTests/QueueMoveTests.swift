import Clocks
import Marketplace
import Testing
import TestRandomness

@testable import Store

/// Moving in the queue, against a plain list as the model.
struct QueueMoveTests {
  /// Jobs of two accounts, placed in turn by the fair queue.
  private struct Lane {
    let fixture: Fixture
    let stranger: Account
    var own: [JobID] = []
    var foreign: [JobID] = []

    init(_ count: Int, seed: UInt64 = 1, priority: Priority = .normal) async throws {
      fixture = try await Fixture(seed: seed)
      let other = fixture.maker.account("stranger")
      stranger = other
      try await fixture.store.write { try $0.save(other) }
      let (account, maker, now) = (fixture.account.id, fixture.maker, fixture.clock.now)
      (own, foreign) = try await fixture.store.write { market in
        var own: [JobID] = []
        var foreign: [JobID] = []
        for _ in 0..<count {
          for owner in [account, other.id] {
            var specification = JobSpecification(runner: "noop")
            specification.priority = priority
            let job = try Submission(account: owner, specification: specification, newID: maker.id(), now: now)
              .run(in: market).job
            if owner == account { own.append(job.id) } else { foreign.append(job.id) }
          }
        }
        return (own, foreign)
      }
    }

    func move(_ job: JobID, _ target: QueueMove.Target, as account: AccountID? = nil) async throws {
      let operation = QueueMove(job: job, account: account ?? fixture.account.id, target: target)
      _ = try await fixture.store.write { try operation.run(in: $0) }
    }

    /// The account's jobs as the queue lists them, page by page.
    func listed(page: Int = 500) async throws -> [JobID] {
      var (found, cursor) = ([JobID](), String?.none)
      repeat {
        let from = cursor
        let read = try await fixture.store.read { [account = fixture.account.id] in
          try $0.queue(account: account, cursor: from, limit: page)
        }
        found += read.jobs.map(\.id)
        cursor = read.nextCursor
      } while cursor != nil
      return found
    }

    /// Everybody's jobs in the order of claims.
    func claimable() async throws -> [Job] {
      try await fixture.store.read { market in
        try market.claimable(classes: try market.pendingClasses().map(\.id), limit: 100_000)
      }
    }
  }

  private func model(_ list: [JobID], _ job: JobID, _ target: QueueMove.Target) throws -> [JobID] {
    var list = list.filter { $0 != job }
    switch target {
    case .top: list.insert(job, at: 0)
    case .bottom: list.append(job)
    case .before(let other): list.insert(job, at: try #require(list.firstIndex(of: other)))
    case .after(let other): list.insert(job, at: try #require(list.firstIndex(of: other)) + 1)
    }
    return list
  }

  @Test(arguments: [UInt64.random(in: 0 ... .max)])
  func `any moves give the model's order and take nothing from others`(
    seed: UInt64
  ) async throws {
    var random = SeededGenerator(seed: seed)
    let lane = try await Lane(30)
    var expected = lane.own
    let before = try await lane.claimable()
    for _ in 0..<80 {
      let job = try #require(expected.randomElement(using: &random))
      let other = try #require(expected.filter { $0 != job }.randomElement(using: &random))
      let target: QueueMove.Target =
        [.top, .bottom, .before(other), .after(other)][Int.random(in: 0..<4, using: &random)]
      try await lane.move(job, target)
      expected = try model(expected, job, target)
      try #require(try await lane.listed(page: 11) == expected, "seed \(seed), \(target)")
    }
    // Each account has the ranks it had. Between equal ranks the older submission goes first, whoever made it.
    #expect(try await turns(lane.claimable()) == turns(before), "seed \(seed)")
  }

  /// Whose turn it is, rank by rank.
  private func turns(_ jobs: [Job]) -> [String] { jobs.map { "\($0.rank) \($0.account)" }.sorted() }

  @Test func `beyond the rotation a job comes forward, and no more than the limit do`() async throws {
    let count = QueueMove.rotationLimit + QueueMove.borrowLimit + 3
    let lane = try await Lane(count)
    var expected = lane.own
    for number in 0..<QueueMove.borrowLimit {
      // More than the limit stand between, also for the last of them.
      let job = lane.own[count - 1 - number]
      try await lane.move(job, .top)
      expected = try model(expected, job, .top)
      #expect(try await lane.listed().first == job)
    }
    #expect(try await lane.listed() == expected)
    let next = lane.own[count - 1 - QueueMove.borrowLimit]
    await #expect(throws: MarketError.borrowedTooMuch(limit: QueueMove.borrowLimit)) {
      try await lane.move(next, .top)
    }
    // Within the rotation nothing is borrowed, and going back never is.
    try await lane.move(expected[QueueMove.rotationLimit], .top)
    try await lane.move(lane.own[0], .bottom)
    #expect(try await lane.listed().last == lane.own[0])
    // The debt is paid when the queue has come to the places that were given up.
    let last = try await lane.claimable().map(\.rank).max() ?? 0
    try await lane.fixture.store.write { try $0.setVirtualTime(last + FairQueue.step * 2) }
    try await lane.move(next, .top)
  }

  @Test func `there is always room between two neighbours`() async throws {
    let count = QueueMove.rotationLimit + 60
    let lane = try await Lane(count)
    var expected = lane.own
    // Always into the same gap, which halves each time.
    for number in 0..<50 {
      let job = lane.own[count - 1 - number]
      try await lane.move(job, .before(lane.own[3]))
      expected = try model(expected, job, .before(lane.own[3]))
    }
    #expect(try await lane.listed() == expected)
    let ranks = try await lane.fixture.store.read { [account = lane.fixture.account.id] market in
      try market.lane(QueueLane(account: account, priority: .normal), after: nil, limit: 10_000).map(\.rank)
    }
    #expect(Set(ranks).count == count)
  }

  @Test func `who may not, and what can't be`() async throws {
    let lane = try await Lane(3)
    let (first, last) = (lane.own[0], lane.own[2])
    await #expect(throws: MarketError.jobNotFound) { try await lane.move(lane.foreign[2], .top) }
    await #expect(throws: MarketError.jobNotFound) { try await lane.move(last, .before(lane.foreign[0])) }
    let (fixture, account) = (lane.fixture, lane.fixture.account.id)
    _ = try await fixture.store.write { market in
      try Reprioritisation(job: first, account: account, priority: .urgent).run(in: market)
    }
    await #expect(throws: MarketError.otherPriority(first, .urgent)) { try await lane.move(last, .before(first)) }
    let cancel = Cancellation(job: first, account: account, reason: nil, grace: Seconds(1), now: fixture.clock.now)
    _ = try await fixture.store.write { try cancel.run(in: $0) }
    await #expect(throws: MarketError.notQueued(first, .canceled)) { try await lane.move(first, .top) }
    await #expect(throws: MarketError.notQueued(first, .canceled)) { try await lane.move(last, .after(first)) }
    await #expect(throws: MarketError.notQueued(first, .canceled)) {
      _ = try await fixture.store.write { market in
        try Reprioritisation(job: first, account: account, priority: .low).run(in: market)
      }
    }
    #expect(try await lane.listed() == [lane.own[1], last])
  }

  @Test func `another priority is another place`() async throws {
    let lane = try await Lane(3)
    let account = lane.fixture.account.id
    let job = lane.own[2]
    for (priority, expected) in [
      (Priority.urgent, [lane.own[2], lane.own[0], lane.own[1]]), (.low, lane.own), (.normal, lane.own),
    ] {
      let operation = Reprioritisation(job: job, account: account, priority: priority)
      _ = try await lane.fixture.store.write { try operation.run(in: $0) }
      #expect(try await lane.listed() == expected)
      #expect(try await lane.fixture.store.read { try $0.job(job) }?.priority == priority)
    }
  }

  /// Claims take what stands first at that moment, whatever is moved meanwhile: no job twice, none left out.
  @Test func `claims and moves side by side`() async throws {
    let lane = try await Lane(60)
    let (fixture, maker) = (lane.fixture, lane.fixture.maker)
    let miner = maker.miner(fixture.account.id)
    try await fixture.store.write { try $0.save(miner) }
    let claimed = try await withThrowingTaskGroup(of: [JobID].self) { group in
      for _ in 0..<120 {
        group.addTask {
          let operation = try await fixture.store.read { market in
            Claim(
              miner: miner.id, classes: try market.pendingClasses().map(\.id), leases: [LeaseToken.make()],
              now: Maker.start)
          }
          return try await fixture.store.write { try operation.run(in: $0).map(\.job.id) }
        }
      }
      for job in lane.own {
        group.addTask {
          do { try await lane.move(job, .top) } catch MarketError.notQueued {}
          return []
        }
      }
      return try await group.reduce(into: [JobID]()) { $0 += $1 }
    }
    #expect(claimed.count == 120 && Set(claimed) == Set(lane.own + lane.foreign))
  }
}

/// What must not cost more in a longer queue: each of these statements goes through one index.
struct QueuePlanTests {
  @Test func `no statement of the queue scans or sorts`() async throws {
    let fixture = try await Fixture()
    let texts = [
      SQLiteSession.LaneSQL.after, SQLiteSession.LaneSQL.before, SQLiteSession.LaneSQL.page,
      SQLiteSession.LaneSQL.borrowed, SQLiteSession.LaneSQL.place, SQLiteSession.LaneSQL.setRank,
    ].map(\.text)
    for text in texts {
      let plan = try await fixture.store.read { market in
        let session = try #require(market as? SQLiteSession)
        return try session.connection.all(dynamic: "EXPLAIN QUERY PLAN " + text, []) { $0.text(3) }
      }
      #expect(plan.contains { $0.contains("SEARCH") }, "\(text): \(plan)")
      #expect(!plan.contains { $0.contains("TEMP B-TREE") || $0.hasPrefix("SCAN jobs") }, "\(text): \(plan)")
    }
  }
}
