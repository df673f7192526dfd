import JSON
import Marketplace
import TestRandomness

/// Jobs in any state, as a store would restore them.
enum JobFixture {
  static let start = Timestamp(milliseconds: 1_770_000_000_000)
  static let now = start + Seconds(100)

  static func identifier<Kind>(_ kind: Kind.Type, _ seed: UInt64) -> Identifier<Kind> {
    var random = SeededGenerator(seed: seed)
    return Identifier<Kind>(at: start, using: &random)
  }

  static let miner = identifier(MinerKind.self, 7)

  static func new(maxTries: Int = 3, _ change: (inout JobSpecification) -> Void = { _ in }) -> Job {
    var specification = JobSpecification(runner: "noop")
    specification.maxTries = maxTries
    change(&specification)
    return Job(
      id: identifier(JobKind.self, 1), account: identifier(AccountKind.self, 2), specification: specification,
      createdAt: start)
  }

  /// A job in `state` with 3 tries, of which `triesUsed` count.
  static func job(_ state: JobState, triesUsed: Int, cancel: Bool) -> Job {
    let new = new()
    var record = JobRecord(
      state: state, expiresAt: new.expiresAt, availableAt: new.availableAt, rank: 0, lastTry: triesUsed,
      triesUsed: triesUsed, progress: state == .running ? 40 : 0, cost: .zero)
    if state.isHeld { record.assignedAt = start + Seconds(10) }
    if state == .running { record.startedAt = start + Seconds(20) }
    if state != .pending { record.miner = miner }
    if cancel {
      record.cancel = CancelRequest(requestedAt: start + Seconds(30), reason: "first", grace: Seconds(9))
    }
    if state.isTerminal { record.completedAt = start + Seconds(50) }
    return Job(restoring: new, from: record)
  }
}

/// Everything that can be done to a job, by name.
enum JobOperation: String, CaseIterable, Sendable {
  case claim, start, cancel, expire, unschedulable, completed, failed, failedByMiner, refused, lost, quarantined,
    canceled

  /// Throws what the job throws.
  func run(on job: inout Job, at now: Timestamp = JobFixture.now) throws {
    let backoff = Seconds(4)
    switch self {
    case .claim: try job.claim(by: JobFixture.miner, at: now)
    case .start: try job.start(at: now)
    case .cancel: _ = try job.requestCancel(reason: "enough", grace: Seconds(5), at: now)
    case .expire: try job.expire(at: now)
    case .unschedulable: try job.rejectUnschedulable("no such GPU", at: now)
    case .completed: try job.end(.completed(exitCode: 0, result: ["a": 1]), backoff: backoff, at: now)
    case .failed: try job.end(.failed(JobError(.exitNonzero, "3"), exitCode: 3), backoff: backoff, at: now)
    case .failedByMiner:
      try job.end(.failed(JobError(.minerError, "broken"), exitCode: nil), backoff: backoff, at: now)
    case .refused: try job.end(.refused(reason: "busy"), backoff: backoff, at: now)
    case .lost: try job.end(.lost(reason: "silent"), backoff: backoff, at: now)
    case .quarantined: try job.end(.quarantined(reason: "again"), backoff: backoff, at: now)
    case .canceled: try job.end(.canceled, backoff: backoff, at: now)
    }
  }
}
