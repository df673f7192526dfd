import Marketplace
import Testing

/// Which failures are tried again.
@Suite struct RetryTests {
  private func end(_ code: JobErrorCode, retryOn: [JobErrorCode]?, maxTries: Int = 3) throws -> JobState {
    var job = JobFixture.new(maxTries: maxTries) { $0.retryOn = retryOn }
    try job.claim(by: JobFixture.miner, at: JobFixture.start)
    try job.start(at: JobFixture.start)
    let end: TryEnd =
      switch code {
      case .lost: .lost(reason: "silent")
      case .refused: .refused(reason: "no")
      default: .failed(JobError(code, "x"), exitCode: nil)
      }
    try job.end(end, backoff: Seconds(1), at: JobFixture.now)
    return job.state
  }

  @Test(arguments: JobErrorCode.retriable) func byDefaultOnlyTheMinersFaults(code: JobErrorCode) throws {
    let isRetried: Set<JobErrorCode> = [.lost, .refused, .minerError, .diskFull]
    #expect(try end(code, retryOn: nil) == (isRetried.contains(code) ? .pending : .failed))
  }

  @Test(arguments: JobErrorCode.retriable, JobErrorCode.retriable)
  func aListTakesThePlaceOfTheDefault(named: JobErrorCode, code: JobErrorCode) throws {
    let isRetried = code == named || code == .lost || code == .refused
    #expect(try end(code, retryOn: [named]) == (isRetried ? .pending : .failed))
  }

  @Test func anEmptyListLeavesLossAndRefusal() throws {
    #expect(try end(.minerError, retryOn: []) == .failed)
    #expect(try end(.lost, retryOn: []) == .pending)
  }

  @Test(arguments: JobErrorCode.retriable) func oneTryIsOneTry(code: JobErrorCode) throws {
    #expect(try end(code, retryOn: JobErrorCode.retriable, maxTries: 1).isTerminal)
  }

  @Test func quarantineSaysWhy() throws {
    var job = JobFixture.job(.running, triesUsed: 1, cancel: false)
    try JobOperation.quarantined.run(on: &job)
    #expect(job.state == .lost && job.error == JobError(.quarantined, "again"))
  }
}

/// A priority can be changed while the job waits.
@Suite struct PriorityChangeTests {
  @Test(arguments: Priority.allCases, Priority.allCases) func movesTheRankWithIt(old: Priority, new: Priority) {
    var job = JobFixture.new { $0.priority = old }
    job.rank = FairQueue.place(priority: old, weight: 1, virtualTime: 5, finish: 9).rank
    let isChanged = job.reprioritise(to: new)
    #expect(isChanged && job.priority == new && job.specification.priority == old)
    #expect(job.rank == FairQueue.place(priority: new, weight: 1, virtualTime: 5, finish: 9).rank)
  }

  @Test(arguments: JobState.allCases.filter { $0 != .pending }) func onlyWhileItWaits(state: JobState) {
    var job = JobFixture.job(state, triesUsed: 1, cancel: false)
    let before = job
    let isChanged = job.reprioritise(to: .urgent)
    #expect(!isChanged && job == before)
  }
}
