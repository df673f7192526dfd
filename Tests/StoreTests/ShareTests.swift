import Cryptography
import Marketplace
import Testing

@testable import Store

/// Links: what they open, until when, and how often.
struct ShareTests {
  private static let secret = [UInt8](repeating: 7, count: 32)

  private func share(
    _ fixture: Fixture, _ job: Job, token: String = "t", term: Seconds = .days(7), maximum: Int64? = nil,
    at now: Timestamp = Maker.start + Seconds(20), account: AccountID? = nil
  ) async throws -> ShareRecord {
    let creation = ShareCreation(
      job: job.id, account: account ?? fixture.account.id, newID: fixture.maker.id(),
      tokenHash: ShareToken.hash(token), grantSecret: Self.secret, term: term, maximumDownloads: maximum, now: now)
    return try await fixture.store.write { try creation.run(in: $0) }
  }

  private func open(_ fixture: Fixture, _ token: String, at now: Timestamp) async throws -> ShareRecord {
    try await fixture.store.read { try $0.openShare(tokenHash: ShareToken.hash(token), at: now).share }
  }

  private func count(_ fixture: Fixture, _ token: String, at now: Timestamp) async throws -> ShareRecord {
    let operation = DownloadCount(tokenHash: ShareToken.hash(token), now: now)
    return try await fixture.store.write { try operation.run(in: $0) }
  }

  @Test func theSameRequestMakesTheSameToken() {
    let secrets = [[UInt8](repeating: 1, count: 32), [UInt8](repeating: 2, count: 32)]
    let tokens = secrets.flatMap { secret in
      ["a\nb", "ab\n", "a\nbc"].map { ShareToken.make(secret: secret, request: $0) }
    }
    #expect(Set(tokens).count == 6)
    #expect(tokens.allSatisfy { $0.hasPrefix(ShareToken.prefix) && $0.utf8.count == ShareToken.make().utf8.count })
    #expect(ShareToken.make(secret: secrets[1], request: "ab\n") == tokens[4])
  }

  @Test func `a link ends at its time, and with the result at the latest`() async throws {
    try await withFixture { fixture in
      let job = try await fixture.ended(after: Seconds(10))
      let now = Maker.start + Seconds(20)
      let short = try await share(fixture, job, token: "short", term: Seconds(5))
      #expect(short.expiresAt == now + Seconds(5))
      #expect(try await open(fixture, "short", at: now + Seconds(milliseconds: 4_999)) == short)
      await #expect(throws: MarketError.shareExpired(short.expiresAt)) {
        try await open(fixture, "short", at: short.expiresAt)
      }
      let long = try await share(fixture, job, token: "long", term: .days(3000))
      #expect(long.expiresAt == job.resultExpiresAt)
      await #expect(throws: MarketError.shareNotFound) { try await open(fixture, "Long", at: now) }
    }
  }

  @Test func `only finished results that are here, of one's own, and not too many`() async throws {
    try await withFixture { fixture in
      let waiting = fixture.maker.job(fixture.account.id)
      try await fixture.insert([waiting])
      await #expect(throws: MarketError.notFinished(.pending)) { try await share(fixture, waiting) }
      let job = try await fixture.ended()
      await #expect(throws: MarketError.jobNotFound) {
        try await share(fixture, job, account: fixture.maker.id())
      }
      let gone = try #require(job.resultExpiresAt)
      await #expect(throws: MarketError.resultsGone(gone)) { try await share(fixture, job, at: gone) }
      let now = Maker.start + Seconds(20)
      for number in 0..<ShareCreation.limit {
        _ = try await share(fixture, job, token: "\(number)", term: Seconds(Int64(number) + 1), at: now)
      }
      await #expect(throws: MarketError.tooManyShares(limit: ShareCreation.limit)) {
        try await share(fixture, job, token: "more", at: now)
      }
      // Those whose time is over do not count.
      _ = try await share(fixture, job, token: "more", at: now + Seconds(1))
    }
  }

  @Test func `taken back is unknown`() async throws {
    try await withFixture { fixture in
      let (job, other) = (try await fixture.ended(), try await fixture.ended())
      let share = try await share(fixture, job)
      let now = Maker.start + Seconds(30)
      for (of, account) in [(other.id, fixture.account.id), (job.id, fixture.maker.id())] {
        let foreign = ShareRevocation(share: share.id, job: of, account: account)
        await #expect(throws: MarketError.shareNotFound) { try await fixture.store.write { try foreign.run(in: $0) } }
      }
      #expect(try await open(fixture, "t", at: now) == share)
      let revocation = ShareRevocation(share: share.id, job: job.id, account: fixture.account.id)
      try await fixture.store.write { try revocation.run(in: $0) }
      await #expect(throws: MarketError.shareNotFound) { try await open(fixture, "t", at: now) }
      await #expect(throws: MarketError.shareNotFound) { try await fixture.store.write { try revocation.run(in: $0) } }
    }
  }

  @Test func `a result that was removed takes its links along`() async throws {
    try await withFixture { fixture in
      let job = try await fixture.ended()
      _ = try await share(fixture, job)
      let now = Maker.start + Seconds(30)
      let mark = MarkPurged(jobs: [job.id], account: fixture.account.id, now: now)
      _ = try await fixture.store.write { try mark.run(in: $0) }
      await #expect(throws: MarketError.resultsGone(now)) { try await open(fixture, "t", at: now + Seconds(1)) }
      await #expect(throws: MarketError.resultsGone(now)) { try await count(fixture, "t", at: now + Seconds(1)) }
    }
  }

  @Test func `fifty at once get exactly as many as there are`() async throws {
    try await withFixture { fixture in
      let job = try await fixture.ended()
      let share = try await share(fixture, job, maximum: 7)
      let now = Maker.start + Seconds(30)
      let numbers = await withTaskGroup(of: Int64?.self) { group in
        for _ in 0..<50 { group.addTask { try? await count(fixture, "t", at: now).downloads } }
        return await group.reduce(into: [Int64]()) { if let number = $1 { $0.append(number) } }
      }
      #expect(numbers.sorted() == Array(1...7))
      let after = try await fixture.store.read { try $0.share(share.id) }
      #expect(after?.downloads == 7 && after?.isUsedUp == true && after?.downloadsLeft == 0)
      await #expect(throws: MarketError.shareNotFound) { try await count(fixture, "t", at: now) }
    }
  }

  @Test func `a grant is of one share, one file, and a download that was counted`() async throws {
    try await withFixture { fixture in
      let job = try await fixture.ended()
      _ = try await share(fixture, job, maximum: 2)
      let counted = try await count(fixture, "t", at: Maker.start + Seconds(30))
      let (file, other) = (String(repeating: "a", count: 64), String(repeating: "b", count: 64))
      let tag = ShareGrant(counted, number: 1, sha256: file).tag
      #expect(ShareGrant.isValid(tag, share: counted, sha256: file))
      #expect(!ShareGrant.isValid(tag, share: counted, sha256: other))
      // The second was not counted yet, and there is no zeroth.
      for number in [0, 2, -1, .max] as [Int64] {
        #expect(
          !ShareGrant.isValid(ShareGrant(counted, number: number, sha256: file).tag, share: counted, sha256: file))
      }
      let foreign = ShareRecord(
        id: counted.id, tokenHash: counted.tokenHash, grantSecret: [UInt8](repeating: 8, count: 32), job: job.id,
        account: counted.account, createdAt: counted.createdAt, expiresAt: counted.expiresAt, maximumDownloads: 2,
        downloads: 1)
      #expect(!ShareGrant.isValid(tag, share: foreign, sha256: file))
      for broken in [
        "", "\"\(file)\"", String(tag.dropLast()), tag + "0", tag.replacing(".1.", with: ".2."), "W/" + tag,
      ] {
        #expect(!ShareGrant.isValid(broken, share: counted, sha256: file), "\(broken)")
      }
    }
  }
}
