import Marketplace
import Testing
import TestRandomness

@Suite struct IdentifierTests {
  private static let alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

  @Test(arguments: [UInt64.random(in: 0 ... .max), 1]) func form(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    for _ in 0..<1_000 {
      let time = Timestamp(milliseconds: Int64.random(in: 0..<(1 << 48), using: &random))
      let id = JobID(at: time, using: &random)
      let text = id.rawValue
      try #require(text.utf8.count == 30 && text.hasPrefix("job_"), "seed \(seed)")
      #expect(text.dropFirst(4).allSatisfy(Self.alphabet.contains))
      #expect(JobID(text) == id)
      #expect(JobID(Substring(text)) == id)
      #expect(id.description == text)
      #expect(MinerID(text) == nil && AccountID(text) == nil && ShareID(text) == nil)
    }
  }

  @Test func prefixes() {
    var random = SeededGenerator(seed: 1)
    let time = Timestamp(milliseconds: 1)
    #expect(MinerID(at: time, using: &random).rawValue.hasPrefix("miner_"))
    #expect(AccountID(at: time, using: &random).rawValue.hasPrefix("acct_"))
    #expect(ShareID(at: time, using: &random).rawValue.hasPrefix("share_"))
  }

  /// The whole value, digit by digit: 48 bits of time, then 16 bits of the first random word and all of the second.
  @Test func layout() {
    struct Fixed: RandomNumberGenerator {
      var words: [UInt64]
      mutating func next() -> UInt64 { words.removeFirst() }
    }
    func id(_ time: Int64, _ words: [UInt64]) -> String {
      var fixed = Fixed(words: words)
      return JobID(at: Timestamp(milliseconds: time), using: &fixed).rawValue
    }
    #expect(id(0, [0, 0]) == "job_00000000000000000000000000")
    #expect(id(0, [0, 1]) == "job_00000000000000000000000001")
    #expect(id(0, [0, 32]) == "job_00000000000000000000000010")
    #expect(id(1, [0, 0]) == "job_00000000010000000000000000")
    #expect(id((1 << 48) - 1, [.max, .max]) == "job_7zzzzzzzzzzzzzzzzzzzzzzzzz")
    #expect(id(-5, [0, 0]) == id(0, [0, 0]))
  }

  @Test(arguments: [UInt64.random(in: 0 ... .max)]) func sortsByTime(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let times = (0..<2_000).map { _ in Int64.random(in: 0..<4_000_000_000_000, using: &random) }
    let ids = Set(times).sorted().map { JobID(at: Timestamp(milliseconds: $0), using: &random) }
    #expect(ids == ids.sorted(), "seed \(seed)")
    #expect(ids.map(\.rawValue) == ids.map(\.rawValue).sorted(), "seed \(seed)")
  }

  @Test func unique() {
    var random = SystemRandomNumberGenerator()
    let time = Timestamp(milliseconds: 1_770_000_000_000)
    #expect(Set((0..<10_000).map { _ in JobID(at: time, using: &random) }).count == 10_000)
  }

  @Test(arguments: [
    "", "job_", "job", "01kgdzvwg0abcdefghjkmnpqrs", "job_01kgdzvwg0abcdefghjkmnpqr", "job_01kgdzvwg0abcdefghjkmnpqrst",
    "JOB_01kgdzvwg0abcdefghjkmnpqrs", "job_01KGDZVWG0ABCDEFGHJKMNPQRS", "job-01kgdzvwg0abcdefghjkmnpqrs",
    "job_01kgdzvwg0abcdefghjkmnpqri", "job_01kgdzvwg0abcdefghjkmnpqrl", "job_01kgdzvwg0abcdefghjkmnpqro",
    "job_01kgdzvwg0abcdefghjkmnpqru", "job_81kgdzvwg0abcdefghjkmnpqrs", "job_z1kgdzvwg0abcdefghjkmnpqrs",
    "job_../../../../../etc/passwd", "job_01kgdzvwg0abcdefghjkmnpq/s", "job_01kgdzvwg0abcdefghjkmnpq.s",
    "job_01kgdzvwg0abcdefghjkmnpqr\0", "job_01kgdzvwg0abcdefghjkmnpqr ", " job_01kgdzvwg0abcdefghjkmnpqrs",
    "job_01kgdzvwg0abcdefghjkmnpqrs\n", "job_01kgdzvwg0abcdefghjkmnpqré", "job_0\u{661}kgdzvwg0abcdefghjkmnpqr",
    "miner_01kgdzvwg0abcdefghjkmnpqrs",
  ])
  func refuses(text: String) { #expect(JobID(text) == nil) }

  @Test func takes() { #expect(JobID("job_01kgdzvwg0abcdefghjkmnpqrs") != nil) }
}
