import Marketplace
import Testing

@testable import Store

/// Results go at their time or when their owner says so; rows, keys and sums stay.
struct PurgeTests {
  private func mark(_ fixture: Fixture, _ jobs: [Job], at now: Timestamp, account: Account? = nil) async throws
    -> [JobID]
  {
    let operation = MarkPurged(jobs: jobs.map(\.id), account: (account ?? fixture.account).id, now: now)
    return try await fixture.store.write { try operation.run(in: $0).map(\.id) }
  }

  @Test(arguments: [(Plan.free, 7), (.pro, 30), (.enterprise, 90)] as [(Plan, Int64)])
  func `results are here until their last moment and gone at the next`(_ plan: Plan, _ days: Int64) async throws {
    try await withFixture { fixture in
      let account = fixture.maker.account("other", plan: plan)
      try await fixture.store.write { try $0.save(account) }
      let job = try await fixture.ended(after: Seconds(10), account: account)
      let edge = Maker.start + Seconds(10) + .days(days)
      let before = edge - Seconds(milliseconds: 1)
      #expect(job.resultExpiresAt == edge)
      #expect(job.resultsGone(at: before) == nil && job.resultsGone(at: edge - Seconds(1)) == nil)
      #expect(job.resultsGone(at: edge) == edge)
      #expect(try await fixture.sweep(at: before).isEmpty)
      // However late the sweeper comes, the results went at their time.
      #expect(try await fixture.sweep(at: edge + .days(3)) == [job.id])
      #expect(try await fixture.stored(job.id).resultPurgedAt == edge)
      #expect(try await fixture.sweep(at: edge + .days(4)).isEmpty)
    }
  }

  @Test func `the owner may remove them earlier, once they are there`() async throws {
    try await withFixture { fixture in
      let done = try await fixture.run()
      let waiting = fixture.maker.job(fixture.account.id)
      let stranger = fixture.maker.account("stranger")
      try await fixture.insert([waiting])
      try await fixture.store.write { try $0.save(stranger) }
      let now = Maker.start + Seconds(60)
      await #expect(throws: MarketError.jobNotFound) { try await mark(fixture, [done], at: now, account: stranger) }
      // All or none: the second of these is active.
      await #expect(throws: MarketError.notFinished(.pending)) { try await mark(fixture, [done, waiting], at: now) }
      #expect(try await fixture.stored(done.id).resultPurgedAt == nil)
      #expect(try await mark(fixture, [done], at: now) == [done.id])
      #expect(try await mark(fixture, [done], at: now + Seconds(5)).isEmpty)
      let after = try await fixture.stored(done.id)
      #expect(after.resultPurgedAt == now && after.result == nil)
      #expect(after.state == .completed && after.cost == done.cost && after.completedAt == done.completedAt)
      #expect(try await fixture.store.read { try $0.purging(after: nil, limit: 9) } == [done.id])
    }
  }

  @Test func `what the database knew is forgotten in steps, after the files`() async throws {
    try await withFixture { fixture in
      let blob = String(repeating: "a", count: 64)
      try await fixture.store.write { try $0.save(BlobRecord(sha256: blob, size: 1, createdAt: Maker.start)) }
      let job = try await fixture.ended(inputs: [blob])
      let other = try await fixture.ended()
      try await fixture.store.write { market in
        for number in 0..<25 {
          try market.save(ArtifactRecord(job: job.id, tryNumber: 1, path: "\(number)", size: 1, sha256: "s"))
        }
        try market.save(PackageRecord(job: job.id, size: 70, sha256: "p", createdAt: Maker.start))
        try market.save(PackageRecord(job: other.id, size: 5, sha256: "q", createdAt: Maker.start))
      }
      let account = fixture.account.id
      #expect(try await fixture.store.read { try $0.totals(account: account).stored } == 75)
      // A job whose results are here loses nothing.
      #expect(try await fixture.store.write { try ForgetPurged(job: job.id, limit: 10).run(in: $0) })
      #expect(try await fixture.store.read { try $0.artifacts(of: job.id, tryNumber: 1).count } == 25)
      _ = try await mark(fixture, [job], at: Maker.start + Seconds(60))
      for (isThrough, left) in [(false, 15), (false, 5), (true, 0), (true, 0)] {
        #expect(try await fixture.store.write { try ForgetPurged(job: job.id, limit: 10).run(in: $0) } == isThrough)
        #expect(try await fixture.store.read { try $0.artifacts(of: job.id, tryNumber: 1).count } == left)
      }
      try await fixture.store.read { market throws in
        #expect(try market.package(of: job.id) == nil)
        #expect(try market.package(of: other.id) != nil)
        #expect(try market.purging(after: nil, limit: 9).isEmpty)
        #expect(try !market.isNeeded(blob: blob))
        #expect(try market.totals(account: account).stored == 5)
      }
    }
  }

  @Test func `before is exclusive, after inclusive, and the rest narrows`() async throws {
    try await withFixture { fixture in
      var jobs: [Job] = []
      for second in [10, 20, 30] as [Int64] {
        jobs.append(try await fixture.ended(after: Seconds(second), key: second == 20 ? "k" : nil))
      }
      let stranger = fixture.maker.account("stranger")
      try await fixture.store.write { try $0.save(stranger) }
      _ = try await fixture.ended(account: stranger)
      try await fixture.insert([fixture.maker.job(fixture.account.id)])
      let completed = try await fixture.run()
      let ids = [jobs[0].id, completed.id, jobs[1].id, jobs[2].id]
      func find(after job: Job? = nil, limit: Int = 9, _ edit: (inout PurgeSelection) -> Void) async throws -> [JobID] {
        var selection = PurgeSelection(account: fixture.account.id)
        edit(&selection)
        return try await fixture.store.read { [selection] in
          try $0.purgeable(selection, after: job, limit: limit).map(\.id)
        }
      }
      func at(_ seconds: Int64) -> Timestamp { Maker.start + Seconds(seconds) }
      #expect(try await find { _ in } == ids)
      #expect(try await find { $0.before = at(20) } == [ids[0], ids[1]])
      #expect(try await find { $0.after = at(20) } == [ids[2], ids[3]])
      #expect(try await find { ($0.after, $0.before) = (at(12), at(30)) } == [ids[1], ids[2]])
      #expect(try await find { ($0.after, $0.before) = (at(21), at(21)) }.isEmpty)
      #expect(try await find { $0.states = [.completed] } == [ids[1]])
      #expect(try await find { $0.states = [.failed] }.isEmpty)
      #expect(try await find { $0.runKey = "k" } == [ids[2]])
      // Page after page.
      #expect(try await find(limit: 2) { _ in } == [ids[0], ids[1]])
      #expect(try await find(after: completed, limit: 2) { _ in } == [ids[2], ids[3]])
      _ = try await mark(fixture, [jobs[1]], at: at(60))
      #expect(try await find { _ in } == [ids[0], ids[1], ids[3]])
    }
  }

  @Test func `run keys and attempt numbers outlive the results`() async throws {
    try await withFixture { fixture in
      func submit() async throws -> Submission.Outcome {
        var specification = JobSpecification(runner: "process", command: ["true"])
        (specification.runKey, specification.isStrict) = ("strict", true)
        let operation = Submission(
          account: fixture.account.id, specification: specification, newID: fixture.maker.id(), now: Maker.start)
        return try await fixture.store.write { try operation.run(in: $0) }
      }
      let first = try await submit().job
      let cancellation = Cancellation(
        job: first.id, account: fixture.account.id, reason: nil, grace: Seconds(1), now: Maker.start)
      _ = try await fixture.store.write { try cancellation.run(in: $0) }
      _ = try await mark(fixture, [first], at: Maker.start)
      #expect(try await fixture.store.write { try ForgetPurged(job: first.id).run(in: $0) })
      let again = try await submit()
      #expect(again.isExisting && again.job.id == first.id)
    }
  }

  @Test func `sums are kept with every end`() async throws {
    try await withFixture { fixture in
      let ends: [TryEnd] = [
        .completed(exitCode: 0, result: nil), .completed(exitCode: 0, result: nil),
        .failed(JobError(.exitNonzero, "3"), exitCode: 3),
      ]
      var spent = Money.zero
      for end in ends { spent = spent + (try await fixture.run(end)).cost }
      _ = try await fixture.ended()
      let account = fixture.account.id
      try await fixture.store.read { [spent] market throws in
        let totals = try market.totals(account: account)
        #expect(totals == AccountTotals(completed: 2, runTime: 4_000, spent: spent))
        #expect(try market.counts(account: account) == [.completed: 2, .failed: 1, .canceled: 1])
        #expect(try market.activeCount(account: account) == 0)
      }
      #expect(spent > .zero)
    }
  }
}
