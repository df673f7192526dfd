import Clocks
import Marketplace
import Testing

@testable import Store

/// Run keys, strictness, unlocks and the pending limit, as the contract words them.
struct SubmissionTests {
  private func submit(
    _ fixture: Fixture, key: String? = "k", strict: Bool = false, command: String = "true"
  ) async throws -> Submission.Outcome {
    var specification = JobSpecification(runner: "process", command: [command])
    specification.runKey = key
    specification.isStrict = strict
    let operation = Submission(
      account: fixture.account.id, specification: specification, newID: fixture.maker.id(), now: fixture.clock.now)
    return try await fixture.store.write { try operation.run(in: $0) }
  }

  /// Ends a job that waits.
  private func finish(_ job: Job, _ fixture: Fixture) async throws {
    let operation = Cancellation(
      job: job.id, account: fixture.account.id, reason: nil, grace: Seconds(1), now: fixture.clock.now)
    _ = try await fixture.store.write { try operation.run(in: $0) }
  }

  @Test func `an active job with the key answers`() async throws {
    let fixture = try await Fixture()
    let first = try await submit(fixture)
    let second = try await submit(fixture)
    #expect(!first.isExisting && second.isExisting && second.job.id == first.job.id)
  }

  @Test func `after the end a new attempt starts`() async throws {
    let fixture = try await Fixture()
    let first = try await submit(fixture)
    try await finish(first.job, fixture)
    let second = try await submit(fixture)
    #expect(!second.isExisting)
    #expect(second.job.attempt == 2 && second.job.rerunOf == first.job.id)
  }

  @Test func `fifty at once make one job`() async throws {
    let fixture = try await Fixture()
    let ids = try await withThrowingTaskGroup(of: JobID.self) { group in
      for _ in 0..<50 { group.addTask { try await submit(fixture).job.id } }
      return try await group.reduce(into: Set<JobID>()) { $0.insert($1) }
    }
    #expect(ids.count == 1)
  }

  @Test func `a strict key runs once, whoever asks`() async throws {
    let fixture = try await Fixture()
    let first = try await submit(fixture, strict: true)
    try await finish(first.job, fixture)
    // Strictness stays with the key: asking without it changes nothing.
    for strict in [true, false] {
      let again = try await submit(fixture, strict: strict)
      #expect(again.isExisting && again.job.id == first.job.id)
    }
  }

  @Test func `asking strictly for an active job makes its key strict`() async throws {
    let fixture = try await Fixture()
    let first = try await submit(fixture)
    _ = try await submit(fixture, strict: true)
    try await finish(first.job, fixture)
    #expect(try await submit(fixture).isExisting)
  }

  @Test(arguments: [(Int64(9), true), (10, false)]) func `an unlock lets one run through until it expires`(
    after: Int64, isUsed: Bool
  ) async throws {
    let fixture = try await Fixture()
    let first = try await submit(fixture, strict: true)
    try await finish(first.job, fixture)
    let (account, now) = (fixture.account.id, fixture.clock.now)
    try await fixture.store.write { market in
      guard var key = try market.runKey(account: account, key: "k") else { throw MarketError.jobNotFound }
      key.unlock = RunKeyUnlock(reason: "data fix", grantedAt: now, expiresAt: now + Seconds(10))
      try market.save(key)
    }
    fixture.clock.advance(by: Seconds(after))
    let second = try await submit(fixture, strict: true)
    #expect(second.usedUnlock == isUsed && second.isExisting == !isUsed)
    guard isUsed else { return }
    #expect(second.job.rerunReason == "data fix")
    try await finish(second.job, fixture)
    #expect(try await submit(fixture, strict: true).job.id == second.job.id)
  }

  @Test func `another specification with the key is a conflict`() async throws {
    let fixture = try await Fixture()
    let first = try await submit(fixture)
    await #expect(throws: MarketError.runKeyMismatch(existing: first.job.id)) {
      try await submit(fixture, command: "false")
    }
  }

  @Test func `without a key every submission is a job`() async throws {
    let fixture = try await Fixture()
    let first = try await submit(fixture, key: nil)
    #expect(try await submit(fixture, key: nil).job.id != first.job.id)
  }

  @Test func `another account's job can't be canceled`() async throws {
    let fixture = try await Fixture()
    let job = try await submit(fixture).job
    let stranger = fixture.maker.account("stranger")
    try await fixture.store.write { try $0.save(stranger) }
    let operation = Cancellation(
      job: job.id, account: stranger.id, reason: nil, grace: Seconds(1), now: fixture.clock.now)
    await #expect(throws: MarketError.jobNotFound) { try await fixture.store.write { try operation.run(in: $0) } }
  }
}
