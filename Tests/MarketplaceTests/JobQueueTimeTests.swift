import Marketplace
import Testing

/// Time to live, back-off, reservations, tries.
@Suite struct JobQueueTimeTests {
  private let start = JobFixture.start

  @Test func newJob() {
    let job = JobFixture.new { $0.timeToLive = Seconds(60) }
    #expect(job.state == .pending && job.triesUsed == 0 && job.lastTry == 0 && job.progress == 0)
    #expect(job.availableAt == start && job.expiresAt == start + Seconds(60))
    #expect(job.attempt == 1 && job.rerunOf == nil && job.cost == .zero)
  }

  /// A reserved job's time to live counts from its time; a time in the past is now.
  @Test func notBefore() {
    let later = JobFixture.new { $0.notBefore = JobFixture.start + Seconds(1000) }
    #expect(later.availableAt == start + Seconds(1000) && later.expiresAt == start + Seconds(1900))
    let past = JobFixture.new { $0.notBefore = JobFixture.start - Seconds(1000) }
    #expect(past.availableAt == start && past.expiresAt == start + Seconds(900))
  }

  @Test(arguments: [JobOperation.lost, .failedByMiner]) func anotherTryRenewsTheTimeToLive(operation: JobOperation)
    throws
  {
    for state in [JobState.assigned, .running] {
      var job = JobFixture.job(state, triesUsed: 1, cancel: false)
      try operation.run(on: &job)
      #expect(job.availableAt == JobFixture.now + Seconds(4))
      #expect(job.expiresAt == JobFixture.now + Seconds(904))
      #expect(job.triesUsed == 1)
    }
  }

  /// A job that everybody refuses still expires on its day.
  @Test func refusalKeepsTheTimeToLive() throws {
    var job = JobFixture.new(maxTries: 1)
    for round in 1...100 {
      let now = start + Seconds(Int64(round))
      try job.claim(by: JobFixture.miner, at: now)
      try job.end(.refused(reason: "no"), backoff: Seconds(1), at: now)
      #expect(job.state == .pending && job.triesUsed == 0 && job.lastTry == round)
      try #require(job.expiresAt == start + Seconds(900) && job.availableAt == now + Seconds(1))
    }
    try job.expire(at: start + Seconds(900))
    #expect(job.state == .expired && job.error?.code == .expired)
  }

  /// Giving back a try whose program was started is no way round `max_tries`.
  @Test func refusalAfterTheStartCounts() throws {
    var job = JobFixture.new(maxTries: 2)
    try job.claim(by: JobFixture.miner, at: start)
    try job.start(at: start)
    try job.end(.refused(reason: "drain"), backoff: Seconds(1), at: start)
    #expect(job.state == .pending && job.triesUsed == 1)
    try job.claim(by: JobFixture.miner, at: start)
    try job.start(at: start)
    try job.end(.refused(reason: "drain"), backoff: Seconds(1), at: start)
    #expect(job.state == .failed && job.triesUsed == 2 && job.error?.code == .refused)
  }

  @Test(arguments: [JobOperation.lost, .failed, .failedByMiner]) func oneTryIsClaimedOnce(operation: JobOperation)
    throws
  {
    for isStarted in [false, true] {
      var job = JobFixture.new(maxTries: 1)
      try job.claim(by: JobFixture.miner, at: start)
      if isStarted { try job.start(at: start) }
      try operation.run(on: &job)
      #expect(job.state.isTerminal)
      #expect(throws: TransitionRefused.self) { try JobOperation.claim.run(on: &job) }
    }
  }

  @Test(arguments: [1, 2, 5]) func allTriesLost(maxTries: Int) throws {
    var job = JobFixture.new(maxTries: maxTries)
    for number in 1...maxTries {
      #expect(job.state == .pending)
      try job.claim(by: JobFixture.miner, at: start)
      #expect(job.lastTry == number)
      try job.end(.lost(reason: "silent"), backoff: Seconds(1), at: start)
    }
    #expect(job.state == .lost && job.error?.code == .lost && job.triesUsed == maxTries)
  }
}

@Suite struct JobProgressTests {
  @Test(
    arguments: [
      (0, 45, 45), (45, 44, 45), (45, 45, 45), (45, 99, 99), (45, 100, 99), (45, 1_000, 99), (45, -3, 45), (0, .min, 0),
      (0, .max, 99),
    ] as [(Int, Int, Int)])
  func held(known: Int, reported: Int, result: Int) {
    var job = JobFixture.job(.running, triesUsed: 1, cancel: false)
    var record = JobRecord(
      state: .running, expiresAt: job.expiresAt, availableAt: job.availableAt, rank: 0, lastTry: 1, triesUsed: 1,
      progress: known, cost: .zero)
    record.progressMessage = "same"
    job = Job(restoring: job, from: record)
    let isChanged = job.report(progress: reported, message: "same")
    #expect(isChanged == (known != result) && job.progress == result)
    let isChangedByMessage = job.report(progress: reported, message: "other")
    #expect(isChangedByMessage)
    #expect(job.progressMessage == "other")
  }

  @Test(arguments: JobState.allCases) func onlyWhileItRuns(state: JobState) {
    var job = JobFixture.job(state, triesUsed: 1, cancel: false)
    let before = job
    let isTaken = job.report(progress: 77, message: "x")
    #expect(isTaken == (state == .running || state == .canceling))
    #expect((job == before) == !isTaken)
  }

  @Test func startsAnewWithEveryTry() throws {
    var job = JobFixture.job(.running, triesUsed: 1, cancel: false)
    _ = job.report(progress: 80, message: "epoch 8")
    try JobOperation.lost.run(on: &job)
    #expect(job.progress == 0 && job.progressMessage == nil)
  }
}

@Suite struct JobResultTests {
  @Test func settledOnceAndOnlyAtTheEnd() throws {
    var job = JobFixture.job(.running, triesUsed: 1, cancel: false)
    job.settle(cost: Money(micros: 5), retention: .days(7))
    #expect(job.cost == .zero && job.resultExpiresAt == nil)
    try JobOperation.completed.run(on: &job)
    job.settle(cost: Money(micros: 5), retention: .days(7))
    job.settle(cost: Money(micros: 9), retention: .days(30))
    #expect(job.cost == Money(micros: 5) && job.resultExpiresAt == JobFixture.now + .days(7))
  }

  @Test func purge() throws {
    var job = JobFixture.job(.running, triesUsed: 1, cancel: false)
    job.purgeResult(at: JobFixture.now)
    #expect(job.resultPurgedAt == nil)
    try JobOperation.completed.run(on: &job)
    job.purgeResult(at: JobFixture.now + Seconds(1))
    job.purgeResult(at: JobFixture.now + Seconds(2))
    #expect(job.resultPurgedAt == JobFixture.now + Seconds(1) && job.result == nil)
    #expect(job.state == .completed && job.exitCode == 0)
  }
}
