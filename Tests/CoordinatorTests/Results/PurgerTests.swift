import Clocks
import Cryptography
import FoundationEssentials
import Glibc
import Marketplace
import Store
import Testing
import TestRandomness

@testable import Coordinator

/// Removal that is cut anywhere is finished by whoever comes next, and nothing else is touched.
struct PurgerTests {
  private func round(_ fixture: MarketFixture) async throws {
    while try await Retention().round(fixture.market) {}
  }

  /// Whatever files a crash had removed, in whatever order: marked, the result is gone for readers; at the next start
  /// the rest goes; then nothing is left but the job's row.
  @Test func `a crash after any of the removals`() async throws {
    try await MarketFixture.run { first in
      let other = try await first.finishedJob()
      let kept = first.paths(of: other.id)
      #expect(kept.count == 6)
      var cases: [(job: Job, gone: Set<Int>)] = []
      for bits in 0..<64 {
        cases.append((try await first.finishedJob(), Set((0..<6).filter { bits >> $0 & 1 == 1 })))
      }
      let mark = MarkPurged(jobs: cases.map(\.job.id), account: first.account.id, now: first.clock.now)
      _ = try await first.store.write { try mark.run(in: $0) }
      for (job, gone) in cases {
        let paths = first.paths(of: job.id)
        for number in gone { try FileManager.default.removeItem(atPath: paths[number]) }
        #expect(try await first.stored(job.id).resultsGone(at: first.clock.now) == first.clock.now)
      }
      try await first.restarted { second throws in
        try await round(second)
        for (job, gone) in cases { #expect(second.paths(of: job.id).isEmpty, "after \(gone.sorted())") }
        try await second.store.read { [cases] store throws in
          #expect(try store.purging(after: nil, limit: 9).isEmpty)
          for (job, _) in cases {
            #expect(try store.package(of: job.id) == nil)
            #expect(try store.artifacts(of: job.id, tryNumber: 1).isEmpty)
            #expect(try store.job(job.id)?.state == .canceled)
          }
          #expect(try store.package(of: other.id) != nil)
        }
        #expect(second.paths(of: other.id) == kept)
      }
    }
  }

  /// A crash before the mark is none: everything is there and readable.
  @Test func `nothing goes before the mark`() async throws {
    try await MarketFixture.run { first in
      let job = try await first.finishedJob()
      let paths = first.paths(of: job.id)
      try await first.restarted { second throws in
        try await round(second)
        #expect(try await Purger(market: second.market).removeOrphans() == 0)
        #expect(second.paths(of: job.id) == paths)
        #expect(try await second.stored(job.id).resultPurgedAt == nil)
      }
    }
  }

  /// Removals that were not on disk at a power cut come back; no row wants them.
  @Test func `files that came back after a power cut are orphans`() async throws {
    try await MarketFixture.run { first in
      let (job, other) = (try await first.finishedJob(), try await first.finishedJob())
      let paths = first.paths(of: job.id)
      let kept = first.paths(of: other.id)
      _ = try await Purger(market: first.market).purge([job.id], of: first.account.id)
      #expect(first.paths(of: job.id).isEmpty)
      for path in paths {
        let folder = path.split(separator: "/").dropLast().joined(separator: "/")
        try FileManager.default.createDirectory(atPath: "/" + folder, withIntermediateDirectories: true)
        #expect(FileManager.default.createFile(atPath: path, contents: Data("again".utf8)))
      }
      var random = SeededGenerator(seed: 99)
      let unknown = JobID(at: MarketFixture.start, using: &random)
      try first.market.files.writePackage(unknown) { _ = write($0, "zip", 3) }
      try await first.restarted { second throws in
        #expect(try await Purger(market: second.market).removeOrphans() > 0)
        #expect(second.paths(of: job.id).isEmpty && second.paths(of: unknown).isEmpty)
        #expect(second.paths(of: other.id) == kept)
      }
    }
  }

  /// An empty database beside old files is a mistake that must not cost the files.
  @Test func `a new database removes nothing`() async throws {
    try await MarketFixture.run { fixture in
      var random = SeededGenerator(seed: 98)
      let unknown = JobID(at: MarketFixture.start, using: &random)
      try fixture.market.files.writePackage(unknown) { _ = write($0, "zip", 3) }
      #expect(try await Purger(market: fixture.market).removeOrphans() == 0)
      #expect(fixture.paths(of: unknown).count == 1)
    }
  }

  @Test func `what can't be removed now is told and removed later`() async throws {
    try await MarketFixture.run { fixture in
      let (job, other) = (try await fixture.finishedJob(), try await fixture.finishedJob())
      let package = try #require(fixture.paths(of: job.id).first { $0.hasSuffix(".zip") })
      // unlink(2) refuses a folder.
      try FileManager.default.removeItem(atPath: package)
      try FileManager.default.createDirectory(atPath: package, withIntermediateDirectories: false)
      let outcome = try await Purger(market: fixture.market).purge([job.id, other.id], of: fixture.account.id)
      #expect(outcome.purged.map(\.id) == [job.id, other.id] && outcome.failed == [job.id])
      #expect(fixture.paths(of: other.id).isEmpty)
      #expect(try await fixture.store.read { try $0.purging(after: nil, limit: 9) } == [job.id])
      // It does not keep others from being swept.
      let third = try await fixture.finishedJob()
      fixture.clock.advance(by: .days(7))
      try await round(fixture)
      #expect(fixture.paths(of: third.id).isEmpty)
      try FileManager.default.removeItem(atPath: package)
      try await round(fixture)
      #expect(fixture.paths(of: job.id).isEmpty)
      #expect(try await fixture.store.read { try $0.purging(after: nil, limit: 9).isEmpty })
    }
  }

  @Test func `the sweeper frees the disk at the end of the retention and not before`() async throws {
    try await MarketFixture.run { fixture in
      var jobs: [Job] = []
      for _ in 0..<(Purger.step + 3) { jobs.append(try await fixture.finishedJob()) }
      fixture.clock.advance(by: Seconds(7 * 86_400 - 1))
      try await round(fixture)
      for job in jobs { #expect(fixture.paths(of: job.id).count == 6) }
      fixture.clock.advance(by: Seconds(1))
      try await round(fixture)
      for job in jobs { #expect(fixture.paths(of: job.id).isEmpty) }
      let account = fixture.account.id
      #expect(try await fixture.store.read { try $0.totals(account: account).stored } == 0)
    }
  }

  @Test func `inputs go when nobody needs them, and a removal that was cut is finished`() async throws {
    try await MarketFixture.run { fixture in
      let digests = ["kept", "loose", "cut"].map { SHA256.hash($0.utf8) }
      for (text, digest) in zip(["kept", "loose", "cut"], digests) {
        let upload = try fixture.market.files.openBlobUpload(digest, account: fixture.account.id)
        try upload.append(Array(text.utf8), at: 0)
        try upload.finish(expectedSize: Int64(text.utf8.count), expectedSHA256: digest)
        let now = fixture.clock.now
        try await fixture.store.write {
          try $0.save(BlobRecord(sha256: digest.hex, size: Int64(text.utf8.count), createdAt: now))
        }
      }
      _ = try await fixture.finishedJob(inputs: [digests[0].hex])
      func isHere(_ digest: SHA256Digest) -> Bool { (try? fixture.market.files.readBlob(digest)) != nil }
      let collector = BlobCollector(market: fixture.market)
      #expect(try await collector.collect() == 0)
      fixture.clock.advance(by: .days(2))
      // Somebody uploads it just now: its file must stay.
      #expect(fixture.market.blobGate.enter(digests[1].hex))
      // A crash had come after the row of this one was gone.
      try await fixture.store.write { try $0.forget(blob: digests[2].hex) }
      #expect(try await collector.collect() == 1)
      #expect(isHere(digests[0]) && isHere(digests[1]) && !isHere(digests[2]))
      fixture.market.blobGate.leave(digests[1].hex)
      #expect(try await collector.collect() == 1)
      #expect(isHere(digests[0]) && !isHere(digests[1]))
      #expect(try await fixture.store.read { try $0.blobRemovals(limit: 9).isEmpty })
      // A file whose row a crash had prevented.
      let upload = try fixture.market.files.openBlobUpload(digests[1], account: fixture.account.id)
      try upload.append(Array("loose".utf8), at: 0)
      try upload.finish(expectedSize: 5, expectedSHA256: digests[1])
      #expect(try await collector.removeOrphans() == 1)
      #expect(isHere(digests[0]) && !isHere(digests[1]))
    }
  }

  @Test func `uploads and removal of one blob exclude each other`() {
    let gate = BlobGate()
    #expect(gate.enter("a") && gate.enter("a") && !gate.close("a") && gate.close("b"))
    gate.leave("a")
    #expect(!gate.close("a"))
    gate.leave("a")
    #expect(gate.close("a") && !gate.enter("a") && !gate.close("a"))
    gate.open("a")
    #expect(gate.enter("a") && !gate.enter("b"))
  }
}
