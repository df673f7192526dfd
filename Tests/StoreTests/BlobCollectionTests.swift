import Marketplace
import Testing

@testable import Store

/// Inputs stay while a job names them whose results are here, and for a while after their last use.
struct BlobCollectionTests {
  private static let one = String(repeating: "1", count: 64)
  private static let two = String(repeating: "2", count: 64)

  private func collect(_ fixture: Fixture, _ sha256: String, at now: Timestamp) async throws -> Bool {
    try await fixture.store.write { try BlobCollection(sha256: sha256, now: now).run(in: $0) }
  }

  private func unneeded(_ fixture: Fixture, at now: Timestamp) async throws -> [String] {
    try await fixture.store.read { try $0.unneededBlobs(usedBefore: now - BlobCollection.grace, limit: 9) }
  }

  @Test func `a fresh upload waits for its job`() async throws {
    try await withFixture { fixture in
      try await fixture.store.write { try $0.save(BlobRecord(sha256: Self.one, size: 1, createdAt: Maker.start)) }
      let edge = Maker.start + BlobCollection.grace
      #expect(try await unneeded(fixture, at: edge).isEmpty)
      #expect(try await collect(fixture, Self.one, at: edge) == false)
      let after = edge + Seconds(milliseconds: 1)
      #expect(try await unneeded(fixture, at: after) == [Self.one])
      // Somebody asks for it between the look and the removal.
      try await fixture.store.write { try $0.touch(blob: Self.one, at: after) }
      #expect(try await collect(fixture, Self.one, at: after) == false)
      #expect(try await fixture.store.read { try $0.blob(Self.one)?.usedAt } == after)
      #expect(try await collect(fixture, Self.one, at: after + .days(2)))
      try await fixture.store.read { market throws in
        #expect(try market.blob(Self.one) == nil)
        #expect(try market.blobRemovals(limit: 9) == [Self.one])
      }
      try await fixture.store.write { try $0.removeBlobRemoval(Self.one) }
      #expect(try await fixture.store.read { try $0.blobRemovals(limit: 9).isEmpty })
    }
  }

  @Test func `a job's inputs stay as long as its results`() async throws {
    try await withFixture { fixture in
      try await fixture.store.write { market in
        for sha256 in [Self.one, Self.two] {
          try market.save(BlobRecord(sha256: sha256, size: 1, createdAt: Maker.start))
        }
      }
      let job = try await fixture.ended(inputs: [Self.one, Self.two, Self.one])
      let other = try await fixture.ended(inputs: [Self.two])
      let late = Maker.start + .days(3)
      #expect(try await unneeded(fixture, at: late).isEmpty)
      #expect(try await collect(fixture, Self.one, at: late) == false)
      func purge(_ job: Job) async throws {
        let mark = MarkPurged(jobs: [job.id], account: fixture.account.id, now: late)
        try await fixture.store.write { market in
          _ = try mark.run(in: market)
          _ = try ForgetPurged(job: job.id).run(in: market)
        }
      }
      try await purge(job)
      #expect(try await unneeded(fixture, at: late) == [Self.one])
      #expect(try await collect(fixture, Self.two, at: late) == false)
      try await purge(other)
      #expect(try await unneeded(fixture, at: late) == [Self.one, Self.two])
    }
  }

  @Test func `a submission needs its inputs in the same moment`() async throws {
    try await withFixture { fixture in
      try await fixture.store.write { try $0.save(BlobRecord(sha256: Self.one, size: 1, createdAt: Maker.start)) }
      var specification = JobSpecification(runner: "process", command: ["true"])
      specification.inputs = [Self.one, Self.two].map { JobInputFile(path: "f" + $0.prefix(1), sha256: $0) }
      let submission = Submission(
        account: fixture.account.id, specification: specification, newID: fixture.maker.id(), now: Maker.start)
      await #expect(throws: MarketError.inputsMissing([Self.two])) {
        try await fixture.store.write { try submission.run(in: $0) }
      }
      #expect(try await fixture.store.read { try $0.job(submission.newID) } == nil)
    }
  }
}
