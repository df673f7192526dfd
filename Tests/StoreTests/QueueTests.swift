import Clocks
import Marketplace
import Store
import Testing
import TestRandomness

/// The queue, the counters and the maintenance lists; against the protocol only.
@Suite struct QueueTests {
  @Test(arguments: Backend.all) func claimableMergesClassesInQueueOrder(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      let jobs = (0..<12).map { index in
        var job = fixture.maker.job(fixture.account.id) { $0.runner = ["a", "b", "c"][index % 3] }
        job.rank = Int64([5, 1, 4, 2, 9, 3, 5, 5, 0, -7, 8, 6][index])
        return job
      }
      try await fixture.insert(jobs)
      try await fixture.store.read { market throws in
        let classes = try market.pendingClasses()
        #expect(classes.map(\.ready) == [4, 4, 4])
        #expect(Set(classes.map(\.requirements.runner)) == ["a", "b", "c"])
        let ids = Dictionary(uniqueKeysWithValues: classes.map { ($0.requirements.runner, $0.id) })
        func id(_ runner: String) throws -> Int64 { try #require(ids[runner]) }
        for runners in [["a"], ["b", "c"], ["a", "b", "c"], ["c", "a"]] {
          let model = jobs.enumerated().filter { runners.contains($0.element.specification.runner) }
            .sorted { ($0.element.rank, $0.offset) < ($1.element.rank, $1.offset) }.map(\.element.id)
          for limit in [0, 1, 2, 3, 5, 12, 100] {
            let found = try market.claimable(classes: try runners.map(id), limit: limit)
            #expect(found.map(\.id) == Array(model.prefix(limit)), "\(runners) \(limit)")
          }
        }
        #expect(try market.claimable(classes: [], limit: 5).isEmpty)
        #expect(try market.claimable(classes: [999], limit: 5).isEmpty)
        // The same class twice gives each job once.
        let twice = [try id("a"), try id("a")]
        #expect(try market.claimable(classes: twice, limit: 100).count == 4)
      }
    }
  }

  @Test(arguments: Backend.all) func claimedJobsLeaveTheQueueAndComeBack(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      let (store, maker, clock) = (fixture.store, fixture.maker, fixture.clock)
      let jobs = [maker.job(fixture.account.id), maker.job(fixture.account.id)]
      try await fixture.insert(jobs)
      let classes = try await store.read { try $0.pendingClasses() }
      let classID = try #require(classes.first).id
      let miner: MinerID = maker.id()
      try await store.write { market throws in
        var job = try #require(try market.claimable(classes: [classID], limit: 1).first)
        #expect(job.id == jobs[0].id)
        try job.claim(by: miner, at: clock.now)
        try market.update(job)
        #expect(try market.pendingClasses().map(\.ready) == [1])
        #expect(try market.pendingCount(account: job.account) == 1)
        #expect(try market.claimable(classes: [classID], limit: 5).map(\.id) == [jobs[1].id])
      }
      try await store.write { market throws in
        var job = try #require(try market.job(jobs[0].id))
        try job.end(.lost(reason: "x"), backoff: Seconds(5), at: clock.now)
        try market.update(job)
      }
      let due = Maker.start + Seconds(5)
      try await store.read { market throws in
        #expect(try market.counts() == [.pending: 2])
        #expect(try market.pendingClasses().map(\.ready) == [1])
        #expect(try market.claimable(classes: [classID], limit: 5).map(\.id) == [jobs[1].id])
        #expect(try market.nextAvailable() == due)
      }
      let early = Timestamp(milliseconds: due.milliseconds - 1)
      #expect(try await store.write { try $0.releaseAvailable(at: early) } == 0)
      #expect(try await store.write { try $0.releaseAvailable(at: due) } == 1)
      #expect(try await store.write { try $0.releaseAvailable(at: due) } == 0)
      try await store.read { market throws in
        #expect(try market.pendingClasses().map(\.ready) == [2])
        #expect(try market.nextAvailable() == nil)
        #expect(try market.claimable(classes: [classID], limit: 5).map(\.id) == jobs.map(\.id))
      }
    }
  }

  @Test(arguments: Backend.all) func theOldestPendingJobOfAllAccounts(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      let (store, maker) = (fixture.store, fixture.maker)
      let other = maker.account("other", plan: .free)
      try await store.write { try $0.save(other) }
      #expect(try await store.read { try $0.oldestPending() } == nil)
      func job(_ account: AccountID, after seconds: Int64) -> Job {
        Job(
          id: maker.id(), account: account, specification: JobSpecification(runner: "noop"),
          createdAt: Maker.start + Seconds(seconds))
      }
      let jobs = [job(fixture.account.id, after: 7), job(other.id, after: 3), job(fixture.account.id, after: 5)]
      try await fixture.insert(jobs)
      for (index, oldest) in [(1, 3), (2, 5), (0, 7)] as [(Int, Int64)] {
        #expect(try await store.read { try $0.oldestPending() } == Maker.start + Seconds(oldest))
        #expect(try await store.write { try $0.oldestPending() } == Maker.start + Seconds(oldest))
        try await store.write { market throws in
          var job = jobs[index]
          _ = try job.requestCancel(reason: nil, grace: Seconds(1), at: Maker.start)
          try market.update(job)
        }
      }
      #expect(try await store.read { try $0.oldestPending() } == nil)
    }
  }

  @Test(arguments: Backend.all) func notBeforeWaits(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      let store = fixture.store
      let later = fixture.maker.job(fixture.account.id) { $0.notBefore = Maker.start + Seconds(60) }
      // The clock stands at the start: its very moment has come, the next millisecond has not.
      let now = fixture.maker.job(fixture.account.id) { $0.notBefore = Maker.start }
      try await fixture.insert([later, now])
      let classes = try await store.read { try $0.pendingClasses() }
      let found = try #require(classes.first)
      #expect(found.ready == 1)
      #expect(try await store.read { try $0.claimable(classes: [found.id], limit: 9).map(\.id) } == [now.id])
      #expect(try await store.read { try $0.nextAvailable() } == Maker.start + Seconds(60))
      // A job that waits leaves the class's count when it is canceled, and does not come back by itself.
      try await store.write { market throws in
        var job = later
        _ = try job.requestCancel(reason: nil, grace: Seconds(1), at: Maker.start)
        try market.update(job)
      }
      #expect(try await store.write { try $0.releaseAvailable(at: Maker.start + Seconds(99)) } == 0)
      #expect(try await store.read { try $0.counts() } == [.pending: 1, .canceled: 1])
    }
  }

  @Test(arguments: Backend.all) func queuePositionCountsWhatStandsBefore(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      let (store, maker) = (fixture.store, fixture.maker)
      // Its middle lies beyond what is counted from either end.
      let jobs = (0..<2_600).map { index in
        var job = maker.job(fixture.account.id)
        job.rank = Int64(index / 3)
        return job
      }
      let other = maker.job(fixture.account.id) { $0.runner = "other" }
      var waiting = maker.job(fixture.account.id) { $0.notBefore = Maker.start + Seconds(60) }
      waiting.rank = 300
      try await fixture.insert(jobs.shuffledByRank() + [other, waiting])
      let classes = try await store.read { try $0.pendingClasses() }
      let classID = try #require(classes.first { $0.requirements.runner == "noop" }).id
      try await store.read { [waiting] market throws in
        let order = try market.claimable(classes: [classID], limit: 5_000)
        #expect(order.count == 2_600)
        // 999 before it or 999 behind it are counted; 1,000 are not.
        for index in [0, 1, 2, 98, 99, 100, 101, 998, 999, 1_600, 1_601, 2_497, 2_498, 2_499, 2_500, 2_598, 2_599] {
          #expect(try market.queuePosition(of: order[index]) == QueuePosition(before: index))
        }
        for index in [1_000, 1_001, 1_299, 1_598, 1_599] {
          #expect(try market.queuePosition(of: order[index]) == QueuePosition(before: 1_000, isMinimum: true))
        }
        #expect(try market.queuePosition(of: other).before == 0)
        #expect(try market.queuePosition(of: waiting).before == 903)
        #expect(try market.queuePosition(of: maker.job(fixture.account.id)).before == 0)
        try Self.expectSamePositions(market, order, others: [other, waiting, maker.job(fixture.account.id)])
      }
    }
  }

  /// Pages from every part of the queue, whole, with gaps and shuffled: the same as one by one.
  private static func expectSamePositions(_ market: any MarketReader, _ order: [Job], others: [Job]) throws {
    for (range, step) in [
      (0..<40, 1), (990..<1_010, 1), (1_090..<1_110, 1), (1_590..<1_610, 1), (2_580..<2_600, 1), (900..<1_700, 45),
      (0..<2_600, 130), (1_000..<1_600, 599),
    ] {
      let page = (stride(from: range.lowerBound, to: range.upperBound, by: step).map { order[$0] } + others).shuffled()
      let positions = try market.queuePositions(of: page)
      #expect(positions.count == page.count)
      for job in page { #expect(try positions[job.id] == market.queuePosition(of: job), "\(range) by \(step)") }
    }
  }

  @Test(arguments: Backend.all) func expiringAndRetention(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      let (store, maker) = (fixture.store, fixture.maker)
      let jobs = [30, 10, 20].map { ttl in maker.job(fixture.account.id) { $0.timeToLive = Seconds(ttl) } }
      try await fixture.insert(jobs)
      @Sendable func at(_ seconds: Int64) -> Timestamp { Maker.start + Seconds(seconds) }
      try await store.read { market throws in
        #expect(try market.expiring(at: Timestamp(milliseconds: at(10).milliseconds - 1), limit: 9).isEmpty)
        #expect(try market.expiring(at: at(10), limit: 9) == [jobs[1]])
        #expect(try market.expiring(at: at(99), limit: 2) == [jobs[1], jobs[2]])
      }
      try await store.write { market throws in
        var job = jobs[1]
        try job.expire(at: at(10))
        job.settle(cost: .zero, retention: .days(1))
        try market.update(job)
      }
      let gone = at(10) + .days(1)
      try await store.read { market throws in
        #expect(try market.expiring(at: at(99), limit: 9).map(\.id) == [jobs[2].id, jobs[0].id])
        #expect(try market.retentionDue(at: Timestamp(milliseconds: gone.milliseconds - 1), limit: 9).isEmpty)
        #expect(try market.retentionDue(at: gone, limit: 9).map(\.id) == [jobs[1].id])
        #expect(try market.retentionDue(at: gone, limit: 0).isEmpty)
      }
      try await store.write { market throws in
        var job = try #require(try market.job(jobs[1].id))
        job.purgeResult(at: gone)
        try market.update(job)
      }
      try await store.read { market throws in
        #expect(try market.retentionDue(at: gone, limit: 9).isEmpty)
        #expect(try market.job(jobs[1].id)?.resultPurgedAt == gone)
      }
    }
  }

  @Test(arguments: Backend.all) func jobsToPackageAreThoseThatEndedAndLeftFiles(_ backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      let (store, maker) = (fixture.store, fixture.maker)
      let jobs = (0..<4).map { _ in maker.job(fixture.account.id) }
      try await fixture.insert(jobs)
      let miner: MinerID = maker.id()
      try await store.write { market throws in
        for (index, job) in jobs.enumerated() {
          var job = job
          var attempt = maker.attempt(of: job, miner: miner, lease: "l\(index)")
          try market.insert(attempt)
          try job.claim(by: miner, at: Maker.start)
          try job.start(at: Maker.start)
          // 0: logs, ended last.  1: an artifact.  2: empty logs.  3: still runs.
          attempt.stdout = LogRecord(length: index == 0 || index == 3 ? 5 : 0, sha256: "x")
          try market.update(attempt)
          if index == 1 {
            try market.save(ArtifactRecord(job: job.id, tryNumber: 1, path: "p", size: 0, sha256: "x"))
          }
          if index != 3 {
            try job.end(
              .completed(exitCode: 0, result: nil), backoff: Seconds(0), at: Maker.start + Seconds(Int64(10 - index)))
          }
          try market.update(job)
        }
      }
      #expect(try await store.read { try $0.jobsToPackage(limit: 9) } == [jobs[1].id, jobs[0].id])
      #expect(try await store.read { try $0.jobsToPackage(limit: 1) } == [jobs[1].id])
      let package = PackageRecord(job: jobs[1].id, size: 1, sha256: "s", createdAt: Maker.start)
      try await store.write { try $0.save(package) }
      #expect(try await store.read { try $0.jobsToPackage(limit: 9) } == [jobs[0].id])
      try await store.write { market throws in
        var job = try #require(try market.job(jobs[1].id))
        job.purgeResult(at: Maker.start + Seconds(20))
        try market.update(job)
        try market.removePackage(of: job.id)
      }
      #expect(try await store.read { try $0.jobsToPackage(limit: 9) } == [jobs[0].id])
    }
  }
}

extension [Job] {
  /// Another order of insertion than that of the queue, the same each time.
  fileprivate func shuffledByRank() -> [Job] {
    var generator = SeededGenerator(seed: 7)
    return shuffled(using: &generator)
  }
}
