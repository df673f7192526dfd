import Marketplace
import Testing
import TestRandomness

/// Invariants after any sequence of operations.
@Suite struct JobRandomTests {
  @Test(arguments: [UInt64.random(in: 0 ... .max), 1, 2, 3]) func invariantsHold(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    for _ in 0..<400 {
      var walk = Walk(job: JobFixture.new(maxTries: 1 + random.below(4)), now: JobFixture.start)
      for _ in 0..<40 {
        walk.now = walk.now + Seconds(milliseconds: Int64(random.below(5_000)))
        walk.step(JobOperation.allCases[random.below(JobOperation.allCases.count)], &random)
        try #require(walk.faults.isEmpty, "seed \(seed): \(walk.faults) after \(walk.history)")
      }
    }
  }

  private struct Walk {
    var job: Job
    var now: Timestamp
    var history: [String] = []
    var faults: [String] = []
    private var started = 0
    private var claims = 0
    private var countedClaims = 0

    init(job: Job, now: Timestamp) {
      self.job = job
      self.now = now
    }

    mutating func step(_ operation: JobOperation, _ random: inout SeededGenerator) {
      let before = job
      history.append(operation.rawValue)
      do {
        try operation.run(on: &job, at: now)
        if operation == .claim {
          claims += 1
          countedClaims += 1
        }
        if operation == .start { started += 1 }
        if operation == .refused, before.state == .assigned { countedClaims -= 1 }
        expect(!before.state.isTerminal, "a terminal state moved")
        expect(before.state == job.state || moves(before.state, job.state), "no input leads there")
      } catch {
        expect(job == before, "a refusal changed something")
      }
      if random.chance(oneIn: 2) { report(&random) }
      checkJob(before)
    }

    private mutating func report(_ random: inout SeededGenerator) {
      let known = job.progress
      _ = job.report(progress: random.below(140) - 20, message: nil)
      expect(job.progress >= known, "progress fell")
    }

    private mutating func checkJob(_ before: Job) {
      let isBad = job.state.isTerminal && job.state != .completed
      expect(job.triesUsed <= job.specification.maxTries && job.triesUsed >= 0, "too many tries")
      expect(started <= job.specification.maxTries, "started too often")
      expect(job.lastTry == claims, "try numbers")
      expect(job.triesUsed == countedClaims, "tries used")
      expect((job.progress == 100) == (job.state == .completed), "100 only when completed")
      expect((job.completedAt != nil) == job.state.isTerminal, "completedAt iff terminal")
      expect(before.completedAt == nil || job.completedAt == before.completedAt, "completedAt moved")
      expect(job.cancel == nil || (job.cancel?.outcome != .pending) == job.state.isTerminal, "cancel outcome")
      expect(job.state != .canceling || job.cancel != nil, "canceling without a wish")
      expect(!isBad || job.error != nil, "no error at a bad end")
      expect(job.state != .completed || job.error == nil, "an error at a good end")
      expect(job.state != .running || job.startedAt != nil, "running without a start")
      expect(job.state != .pending || job.startedAt == nil, "a start while pending")
    }

    private func moves(_ from: JobState, _ to: JobState) -> Bool {
      JobInput.allCases.contains { JobTransition.next(from, $0) == to }
    }

    private mutating func expect(_ isTrue: Bool, _ fault: String) { if !isTrue { faults.append(fault) } }
  }
}
