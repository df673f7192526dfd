import Marketplace
import Testing

@testable import Store

/// A better plan keeps what is here longer; a smaller one takes nothing away.
struct PlanChangeTests {
  private func change(_ fixture: Fixture, to plan: Plan, at now: Timestamp) async throws {
    let operation = PlanChange(account: fixture.account.id, plan: plan, now: now)
    _ = try await fixture.store.write { try operation.run(in: $0) }
  }

  private func extend(_ fixture: Fixture, at now: Timestamp, limit: Int = 2) async throws -> Int {
    var steps = 0
    while try await fixture.store.write({ try ExtendRetention(now: now, limit: limit).run(in: $0) }) { steps += 1 }
    return steps
  }

  @Test func `an upgrade reaches every result that is here, in steps`() async throws {
    try await withFixture { fixture in
      var jobs: [Job] = []
      for second in 1...5 as ClosedRange<Int64> { jobs.append(try await fixture.ended(after: Seconds(second))) }
      // At that moment the first is gone and the second is not.
      let now = Maker.start + .days(7) + Seconds(1)
      try await change(fixture, to: .pro, at: now)
      #expect(try await extend(fixture, at: now) == 3)
      #expect(try await fixture.stored(jobs[0].id).resultExpiresAt == jobs[0].resultExpiresAt)
      for job in jobs.dropFirst() {
        let ended = try #require(job.completedAt)
        #expect(try await fixture.stored(job.id).resultExpiresAt == ended + .days(30))
      }
      let later = try await fixture.ended(after: .days(8))
      #expect(later.resultExpiresAt == Maker.start + .days(38))
    }
  }

  @Test func `the sweeper waits for an upgrade that is under way`() async throws {
    try await withFixture { fixture in
      let job = try await fixture.ended(after: Seconds(10))
      let edge = try #require(job.resultExpiresAt)
      try await change(fixture, to: .enterprise, at: edge - Seconds(milliseconds: 1))
      // Its old time passes before the step comes.
      #expect(try await fixture.sweep(at: edge + Seconds(60)).isEmpty)
      #expect(try await extend(fixture, at: edge + Seconds(60)) == 1)
      #expect(try await fixture.stored(job.id).resultsGone(at: edge + Seconds(60)) == nil)
      #expect(try await fixture.sweep(at: Maker.start + Seconds(10) + .days(90)) == [job.id])
    }
  }

  @Test func `a downgrade leaves what is here, and a second upgrade keeps the longer time`() async throws {
    try await withFixture { fixture in
      let now = Maker.start + Seconds(60)
      try await change(fixture, to: .enterprise, at: Maker.start)
      let job = try await fixture.ended(after: Seconds(10))
      try await change(fixture, to: .free, at: now)
      _ = try await extend(fixture, at: now)
      #expect(try await fixture.stored(job.id).resultExpiresAt == Maker.start + Seconds(10) + .days(90))
      let short = try await fixture.ended(after: Seconds(70))
      #expect(short.resultExpiresAt == Maker.start + Seconds(70) + .days(7))
      try await change(fixture, to: .pro, at: now + Seconds(60))
      _ = try await extend(fixture, at: now + Seconds(60))
      #expect(try await fixture.stored(job.id).resultExpiresAt == Maker.start + Seconds(10) + .days(90))
      #expect(try await fixture.stored(short.id).resultExpiresAt == Maker.start + Seconds(70) + .days(30))
    }
  }

  @Test func `results that were removed do not come back`() async throws {
    try await withFixture { fixture in
      let job = try await fixture.ended()
      let operation = MarkPurged(jobs: [job.id], account: fixture.account.id, now: Maker.start + Seconds(20))
      _ = try await fixture.store.write { try operation.run(in: $0) }
      try await change(fixture, to: .pro, at: Maker.start + Seconds(30))
      _ = try await extend(fixture, at: Maker.start + Seconds(30))
      let after = try await fixture.stored(job.id)
      #expect(after.resultPurgedAt == Maker.start + Seconds(20) && after.resultExpiresAt == job.resultExpiresAt)
    }
  }

  @Test func `an extension goes on after a restart`() async throws {
    let fixture = try await Fixture()
    var jobs: [Job] = []
    for second in 1...4 as ClosedRange<Int64> { jobs.append(try await fixture.ended(after: Seconds(second))) }
    try await change(fixture, to: .pro, at: Maker.start + Seconds(60))
    #expect(try await fixture.store.write { try ExtendRetention(now: Maker.start, limit: 1).run(in: $0) })
    try await fixture.store.close()
    let store = try Backend.sqlite.make(fixture.folder, fixture.clock)
    while try await store.write({ try ExtendRetention(now: Maker.start, limit: 1).run(in: $0) }) {}
    for job in jobs {
      let ended = try #require(job.completedAt)
      #expect(try await store.read { try $0.job(job.id)?.resultExpiresAt } == ended + .days(30))
    }
    try await store.close()
  }
}
