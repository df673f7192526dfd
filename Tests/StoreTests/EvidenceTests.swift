import Marketplace
import Testing

@testable import Store

/// Refused reports are kept, counted and bounded.
struct EvidenceTests {
  private func report(
    _ fixture: Fixture, _ job: JobID, _ miner: MinerID, said: String = "aa", seconds: Int64 = 0
  ) -> RefusedReport {
    RefusedReport(
      job: job, tryNumber: 1, miner: miner, kind: .result, sha256: said, reason: "late",
      at: Maker.start + Seconds(seconds))
  }

  @Test(arguments: Backend.all) func `the same again is counted`(backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      let (job, miner): (JobID, MinerID) = (fixture.maker.id(), fixture.maker.id())
      let first = report(fixture, job, miner)
      let again = report(fixture, job, miner, seconds: 5)
      let other = report(fixture, job, miner, said: "bb", seconds: 9)
      for one in [first, again, other] { try await fixture.store.write { try $0.note(one) } }
      let kept = try await fixture.store.read { try $0.refusedReports(of: job) }
      #expect(kept.map(\.count) == [2, 1] && kept.map(\.sha256) == ["aa", "bb"])
      #expect(kept[0].firstAt == first.firstAt && kept[0].lastAt == again.firstAt)
      #expect(try await fixture.store.read { try $0.refusedReports(of: fixture.maker.id()) }.isEmpty)
    }
  }

  @Test(arguments: Backend.all) func `a flood is bounded, job by job`(backend: Backend) async throws {
    try await withFixture(backend) { fixture in
      let (job, other, miner): (JobID, JobID, MinerID) = (fixture.maker.id(), fixture.maker.id(), fixture.maker.id())
      let flood = (0...RefusedReport.limit).map { report(fixture, job, miner, said: "\($0)", seconds: Int64($0)) }
      let single = report(fixture, other, miner)
      try await fixture.store.write { market throws in
        for one in flood { try market.note(one) }
        try market.note(single)
        // A known one is still counted.
        try market.note(flood[0])
      }
      let kept = try await fixture.store.read { try $0.refusedReports(of: job) }
      #expect(kept.count == RefusedReport.limit && kept.first?.count == 2)
      #expect(kept.map(\.sha256) == flood.prefix(RefusedReport.limit).map(\.sha256))
      #expect(try await fixture.store.read { try $0.refusedReports(of: other) } == [single])
    }
  }
}
