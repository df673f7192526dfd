import Clocks
import Marketplace
import ResultPackage
import Store
import Synchronization
import Testing

@testable import Coordinator

/// Artifacts of a try that could not be unpacked beside each other are refused, also when they come at the same time.
@Suite struct ArtifactNamesTests {
  private func lease(_ market: MarketFixture, hash: String = "h1") -> LeaseTable.Lease {
    LeaseTable.Lease(
      hash: hash, job: market.market.newID(JobKind.self), tryNumber: 1, miner: market.market.newID(MinerKind.self),
      term: Seconds(30), deadline: MonotonicTime(milliseconds: 0), token: nil)
  }

  private func store(_ path: String, _ lease: LeaseTable.Lease, _ market: MarketFixture) async throws {
    let record = ArtifactRecord(
      job: lease.job, tryNumber: 1, path: path, size: 1, sha256: String(repeating: "a", count: 64))
    try await market.store.write { try $0.save(record) }
  }

  private func verdict(
    _ path: String, _ lease: LeaseTable.Lease, _ market: MarketFixture, limit: Int = 10
  ) async throws -> ArtifactNames.Verdict {
    try await market.market.artifactNames.check(
      try ArtifactPath(validating: path), of: lease, limit: limit, in: market.store
    ) { $0 == lease.hash }
  }

  @Test func whatIsStoredCounts() async throws {
    try await MarketFixture.run { market in
      let lease = lease(market)
      try await store("models/a.bin", lease, market)
      #expect(try await verdict("models/b.bin", lease, market) == .fine)
      #expect(try await verdict("Models/A.bin", lease, market) == .clash(with: "models/a.bin"))
      #expect(try await verdict("models", lease, market) == .clash(with: "models/a.bin"))
      #expect(try await verdict("models/a.bin/x", lease, market) == .clash(with: "models/a.bin"))
      #expect(try await verdict("models/b.bin", lease, market, limit: 1) == .tooMany)
      // Another try knows nothing of it.
      #expect(try await verdict("models", self.lease(market, hash: "h2"), market) == .fine)
    }
  }

  @Test func whatComesAtTheSameTimeIsTakenOnce() async throws {
    try await MarketFixture.run { market in
      let lease = lease(market)
      let (lower, upper) = (try ArtifactPath(validating: "a"), try ArtifactPath(validating: "A"))
      let names = market.market.artifactNames
      // Both were fine when they began.
      #expect(try await verdict("a", lease, market) == .fine)
      #expect(try await verdict("A", lease, market) == .fine)
      #expect(names.take(lower, of: lease))
      #expect(!names.take(upper, of: lease))
      // The first could not be stored after all.
      names.giveBack(lower, of: lease)
      #expect(names.take(upper, of: lease))
      try await store("A", lease, market)
      #expect(try await verdict("a", lease, market) == .clash(with: "A"))
    }
  }

  /// The names of a try that has ended are not kept.
  @Test func triesThatEndedAreForgotten() async throws {
    try await MarketFixture.run { market in
      let (first, second) = (lease(market), lease(market, hash: "h2"))
      let path = try ArtifactPath(validating: "a")
      let names = market.market.artifactNames
      #expect(try await verdict("a", first, market) == .fine)
      #expect(names.take(path, of: first))
      #expect(try await verdict("a", second, market) == .fine)
      // It was read anew: what was taken and never stored is not there.
      #expect(try await verdict("a", first, market) == .fine)
      #expect(names.take(path, of: first))
    }
  }
}
