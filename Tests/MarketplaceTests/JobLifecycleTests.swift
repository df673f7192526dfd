import JSON
import Marketplace
import Testing

/// Every operation in every state, with and without tries left, with and without a wish to cancel.
@Suite struct JobLifecycleTests {
  /// Columns: pending, assigned, running, canceling. `a/b`: with tries left, and on the last one.
  private static let table = """
    claim         assigned  -               -               -
    start         -         running         -               -
    cancel        canceled  canceling       canceling       canceling
    expire        expired   expired         -               -
    unschedulable failed    -               -               -
    completed     -         -               completed       completed
    failed        -         failed          failed          failed
    failedByMiner -         pending/failed  pending/failed  failed
    refused       -         pending         pending/failed  canceled
    lost          -         pending/lost    pending/lost    canceled
    quarantined   -         lost            lost            canceled
    canceled      -         -               -               canceled
    """
  private static let columns: [JobState] = [.pending, .assigned, .running, .canceling]

  private static func expected(_ operation: JobOperation, _ state: JobState, isLast: Bool) throws -> JobState? {
    let rows = table.split(separator: "\n").map { $0.split(separator: " ") }
    let row = try #require(rows.first { $0[0] == operation.rawValue })
    guard let column = columns.firstIndex(of: state) else { return nil }
    let words = row[column + 1].split(separator: "/")
    return JobState(rawValue: String(isLast ? words[words.count - 1] : words[0]))
  }

  @Test(arguments: JobState.allCases, JobOperation.allCases)
  func everyStateAndOperation(state: JobState, operation: JobOperation) throws {
    for triesUsed in [1, 3] {
      for hasCancel in [false, true] {
        let before = JobFixture.job(state, triesUsed: triesUsed, cancel: hasCancel)
        var after = before
        let next = try Self.expected(operation, state, isLast: triesUsed == 3)
        if let next {
          try operation.run(on: &after)
          #expect(after.state == next, "\(triesUsed) tries used, cancel \(hasCancel)")
          #expect((after.completedAt == JobFixture.now) == next.isTerminal)
          check(after, from: before)
        } else {
          let error = #expect(throws: TransitionRefused.self) { try operation.run(on: &after) }
          #expect(error?.state == state)
          #expect(after == before, "a refused operation changed something")
        }
      }
    }
  }

  private func check(_ job: Job, from before: Job) {
    if before.state == .canceling, before.cancel != nil {
      #expect((job.cancel?.outcome == .pending) == !job.state.isTerminal)
    }
    if job.state == .completed { #expect(job.error == nil && job.progress == 100) } else { #expect(job.progress < 100) }
    if job.state.isTerminal, job.state != .completed { #expect(job.error != nil) }
    if job.state == .pending {
      #expect(job.startedAt == nil && job.assignedAt == nil && job.progress == 0)
      #expect(job.availableAt == JobFixture.now + Seconds(4))
    }
  }

  @Test func claimCountsTheTry() throws {
    var job = JobFixture.job(.pending, triesUsed: 1, cancel: false)
    try JobOperation.claim.run(on: &job)
    #expect(job.triesUsed == 2 && job.lastTry == 2)
    #expect(job.miner == JobFixture.miner && job.assignedAt == JobFixture.now && job.startedAt == nil)
    try job.start(at: JobFixture.now + Seconds(1))
    #expect(job.startedAt == JobFixture.now + Seconds(1))
  }

  @Test(arguments: [
    (JobOperation.completed, JobErrorCode?.none, Int?(0)), (.failed, .exitNonzero, 3),
    (.failedByMiner, .minerError, nil),
    (.lost, .lost, nil), (.refused, .refused, nil),
  ])
  func endsOfTheLastTry(operation: JobOperation, code: JobErrorCode?, exit: Int?) throws {
    var job = JobFixture.job(.running, triesUsed: 3, cancel: false)
    try operation.run(on: &job)
    #expect(job.error?.code == code && job.exitCode == exit)
    #expect((job.result == ["a": 1]) == (operation == .completed))
    #expect(job.state.isTerminal)
  }

  @Test(arguments: [
    (JobOperation.completed, CancelRequest.Outcome.tooLate), (.failed, .failed), (.failedByMiner, .failed),
    (.refused, .canceled), (.lost, .canceled), (.quarantined, .canceled), (.canceled, .canceled),
  ])
  func cancelOutcomes(operation: JobOperation, outcome: CancelRequest.Outcome) throws {
    for state in [JobState.assigned, .running] {
      var job = JobFixture.job(state, triesUsed: 1, cancel: false)
      let isNew = try job.requestCancel(reason: "enough", grace: Seconds(5), at: JobFixture.now)
      #expect(isNew)
      #expect(job.cancel == CancelRequest(requestedAt: JobFixture.now, reason: "enough", grace: Seconds(5)))
      let asked = job
      let isNewAgain = try job.requestCancel(reason: "again", grace: Seconds(1), at: JobFixture.now + Seconds(1))
      #expect(!isNewAgain && job == asked, "the second wish changed something")
      try operation.run(on: &job, at: JobFixture.now + Seconds(2))
      #expect(job.cancel?.outcome == outcome)
    }
  }

  @Test func canceledWhilePending() throws {
    var job = JobFixture.new()
    let isNew = try job.requestCancel(reason: nil, grace: Seconds(5), at: JobFixture.now)
    #expect(isNew)
    #expect(job.state == .canceled && job.cancel?.outcome == .canceled)
    #expect(job.error == JobError(.canceled, "canceled by its owner"))
  }

  /// The word of the start and the wish to cancel cross on the way: the start counts for the charge.
  @Test(arguments: JobState.allCases) func startAfterCancel(state: JobState) {
    var job = JobFixture.job(state, triesUsed: 1, cancel: true)
    let before = job
    job.noteStart(at: JobFixture.now)
    #expect(job.startedAt == (state == .canceling ? JobFixture.now : before.startedAt))
    job.noteStart(at: JobFixture.now + Seconds(1))
    #expect(job.startedAt != JobFixture.now + Seconds(1))
    #expect(job.state == state)
  }

  /// The time of a try that was lost must not be charged when the job is canceled or expires later in the queue.
  @Test func lostTryLeavesNoStart() throws {
    var job = JobFixture.job(.running, triesUsed: 1, cancel: false)
    try JobOperation.lost.run(on: &job)
    try JobOperation.cancel.run(on: &job)
    #expect(job.state == .canceled && job.startedAt == nil)
  }
}
