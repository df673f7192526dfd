import Clocks
import Marketplace
import Testing

@testable import Store

/// Reruns, attempts and unlocks, as the users of run keys expect them.
struct RerunTests {
  private func submit(
    _ fixture: Fixture, key: String?, strict: Bool = false
  ) async throws -> Submission.Outcome {
    var specification = JobSpecification(runner: "process", command: ["true"])
    specification.runKey = key
    specification.isStrict = strict
    let operation = Submission(
      account: fixture.account.id, specification: specification, newID: fixture.maker.id(), now: fixture.clock.now)
    return try await fixture.store.write { try operation.run(in: $0) }
  }

  private func rerun(
    _ source: JobID, _ fixture: Fixture, account: AccountID? = nil, reason: String? = nil
  ) async throws -> Job {
    let operation = Rerun(
      source: source, account: account ?? fixture.account.id, reason: reason, newID: fixture.maker.id(),
      now: fixture.clock.now)
    return try await fixture.store.write { try operation.run(in: $0) }
  }

  private func finish(_ job: JobID, _ fixture: Fixture) async throws {
    let operation = Cancellation(
      job: job, account: fixture.account.id, reason: nil, grace: Seconds(1), now: fixture.clock.now)
    _ = try await fixture.store.write { try operation.run(in: $0) }
  }

  private func unlock(_ key: String, _ fixture: Fixture, term: Seconds? = nil) async throws -> RunKeyRecord {
    let operation = Unlocking(
      account: fixture.account.id, key: key, reason: "why", term: term, now: fixture.clock.now)
    return try await fixture.store.write { try operation.run(in: $0) }
  }

  @Test(arguments: ["k", nil]) func `each rerun is the next attempt of the chain`(key: String?) async throws {
    let fixture = try await Fixture()
    let first = try await submit(fixture, key: key).job
    try await finish(first.id, fixture)
    let second = try await rerun(first.id, fixture, reason: "bad input")
    #expect(second.id != first.id && second.specification == first.specification && second.state == .pending)
    #expect(second.attempt == 2 && second.rerunOf == first.id && second.rerunReason == "bad input")
    try await finish(second.id, fixture)
    // From an old attempt: the number goes on, the source is what was named.
    let third = try await rerun(first.id, fixture)
    #expect(third.attempt == 3 && third.rerunOf == first.id)
    try await finish(third.id, fixture)
    let fourth = try await rerun(third.id, fixture)
    #expect(fourth.attempt == 4 && fourth.rerunOf == third.id)
    let ids = [fourth, third, second, first].map(\.id)
    for job in [first, second, fourth] {
      let chain = try #require(try await fixture.store.read { try $0.job(job.id) }).attempts
      #expect(try await fixture.store.read { try $0.attempts(chain, below: nil, limit: 9) }.map(\.id) == ids)
      #expect(
        try await fixture.store.read { try $0.attempts(chain, below: 3, limit: 9) }.map(\.id) == [second.id, first.id])
      #expect(try await fixture.store.read { try $0.attempts(chain, below: nil, limit: 3) }.count == 3)
    }
  }

  @Test(arguments: ["k", nil]) func `refused while the latest attempt is active, whichever is named`(
    key: String?
  ) async throws {
    let fixture = try await Fixture()
    let first = try await submit(fixture, key: key).job
    await #expect(throws: MarketError.attemptActive(first.id, .pending)) { try await rerun(first.id, fixture) }
    try await finish(first.id, fixture)
    let second = try await rerun(first.id, fixture)
    for source in [first.id, second.id] {
      await #expect(throws: MarketError.attemptActive(second.id, .pending)) { try await rerun(source, fixture) }
    }
    let jobs = try await fixture.store.read { [account = fixture.account.id] in try $0.jobs(JobQuery(account: account))
    }
    #expect(jobs.total == 2)
  }

  @Test func `fifty at once make one attempt`() async throws {
    let fixture = try await Fixture()
    let first = try await submit(fixture, key: nil).job
    try await finish(first.id, fixture)
    let made = await withTaskGroup(of: Job?.self) { group in
      for _ in 0..<50 { group.addTask { try? await rerun(first.id, fixture) } }
      return await group.reduce(into: [Job]()) { if let job = $1 { $0.append(job) } }
    }
    #expect(made.map(\.attempt) == [2])
  }

  @Test func `strictness holds no rerun back, and no unlock is used up`() async throws {
    let fixture = try await Fixture()
    let first = try await submit(fixture, key: "k", strict: true).job
    try await finish(first.id, fixture)
    _ = try await unlock("k", fixture)
    let second = try await rerun(first.id, fixture)
    try await finish(second.id, fixture)
    let third = try await submit(fixture, key: "k", strict: true)
    #expect(!third.isExisting && third.usedUnlock && third.job.attempt == 3 && third.job.rerunReason == "why")
    try await finish(third.job.id, fixture)
    #expect(try await submit(fixture, key: "k", strict: true).job.id == third.job.id)
  }

  @Test func `another account's job can't be run again`() async throws {
    let fixture = try await Fixture()
    let first = try await submit(fixture, key: nil).job
    try await finish(first.id, fixture)
    let stranger = fixture.maker.account("stranger")
    try await fixture.store.write { try $0.save(stranger) }
    await #expect(throws: MarketError.jobNotFound) { try await rerun(first.id, fixture, account: stranger.id) }
  }

  @Test func `unlocking needs a key whose latest job has ended`() async throws {
    let fixture = try await Fixture()
    await #expect(throws: MarketError.runKeyNotFound) { try await unlock("k", fixture) }
    let first = try await submit(fixture, key: "k", strict: true).job
    await #expect(throws: MarketError.attemptActive(first.id, .pending)) { try await unlock("k", fixture) }
    try await finish(first.id, fixture)
    let record = try await unlock("k", fixture, term: Seconds(10))
    let now = fixture.clock.now
    #expect(record.validUnlock(at: now + Seconds(milliseconds: 9_999)) != nil)
    #expect(record.validUnlock(at: now + Seconds(10)) == nil)
  }

  @Test func `unlocking again replaces the leave: still one run`() async throws {
    let fixture = try await Fixture()
    let first = try await submit(fixture, key: "k", strict: true).job
    try await finish(first.id, fixture)
    _ = try await unlock("k", fixture)
    _ = try await unlock("k", fixture)
    let second = try await submit(fixture, key: "k", strict: true)
    #expect(second.usedUnlock)
    try await finish(second.job.id, fixture)
    #expect(try await submit(fixture, key: "k", strict: true).isExisting)
  }

  /// What a purge may leave of a key: its row, and no job.
  @Test(arguments: [false, true]) func `a key outlives its jobs`(isStrict: Bool) async throws {
    let fixture = try await Fixture()
    let account = fixture.account.id
    let first = try await submit(fixture, key: "k", strict: isStrict).job
    try await finish(first.id, fixture)
    let gone = fixture.maker.id(JobKind.self)
    try await fixture.store.write { market in
      var record = try #require(try market.runKey(account: account, key: "k"))
      record.latestJob = gone
      record.lastAttempt = 7
      try market.save(record)
    }
    if isStrict {
      await #expect(throws: MarketError.runKeySpent(by: gone)) { try await submit(fixture, key: "k") }
      _ = try await unlock("k", fixture)
    }
    let next = try await submit(fixture, key: "k")
    #expect(!next.isExisting && next.job.attempt == 8 && next.job.rerunOf == gone)
    try await finish(next.job.id, fixture)
    #expect(try await rerun(next.job.id, fixture).attempt == 9)
  }
}
