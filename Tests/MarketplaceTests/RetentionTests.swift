import Testing

@testable import Marketplace

/// When a job's results are here, and until when.
struct RetentionTests {
  private static let end = JobFixture.start + Seconds(50)

  private func finished() -> Job {
    var job = JobFixture.job(.completed, triesUsed: 1, cancel: false)
    job.settle(cost: .zero, retention: .days(7))
    return job
  }

  @Test func `gone at their time to the millisecond`() {
    let job = finished()
    let edge = Self.end + .days(7)
    #expect(job.resultsGone(at: Self.end) == nil)
    #expect(job.resultsGone(at: edge - Seconds(1)) == nil)
    #expect(job.resultsGone(at: edge - Seconds(milliseconds: 1)) == nil)
    #expect(job.resultsGone(at: edge) == edge)
    #expect(job.resultsGone(at: edge + .days(1)) == edge)
    #expect(JobFixture.job(.running, triesUsed: 1, cancel: false).resultsGone(at: .distantFuture) == nil)
  }

  @Test func `removed early they are gone since then, once`() {
    var job = finished()
    job.purgeResult(at: Self.end + Seconds(9))
    job.purgeResult(at: Self.end + Seconds(99))
    #expect(job.resultsGone(at: Self.end + Seconds(100)) == Self.end + Seconds(9))
    #expect(job.result == nil)
    var late = finished()
    late.purgeResult(at: Self.end + .days(20))
    #expect(late.resultPurgedAt == Self.end + .days(7))
    var active = JobFixture.job(.running, triesUsed: 1, cancel: false)
    active.purgeResult(at: Self.end)
    #expect(active.resultPurgedAt == nil)
  }

  @Test func `an extension only ever lengthens what is here`() {
    let edge = Self.end + .days(7)
    for (retention, now, expected) in [
      (Seconds.days(30), edge - Seconds(milliseconds: 1), Self.end + .days(30)), (.days(30), edge, edge),
      (.days(7), Self.end, edge), (.days(1), Self.end, edge),
    ] {
      var job = finished()
      let changed = job.extendRetention(to: retention, at: now)
      #expect(changed == (expected != edge))
      #expect(job.resultExpiresAt == expected)
    }
    var removed = finished()
    removed.purgeResult(at: Self.end)
    let changed = removed.extendRetention(to: .days(90), at: Self.end)
    #expect(!changed)
  }
}
