import Marketplace
import Testing
import TestRandomness

/// One miner that claims job after job from the fair queue, as the store does it: lowest rank first, then oldest.
private struct Market {
  struct Waiting {
    let rank: Int64
    let number: Int
    let account: String
    let priority: Priority
  }

  private(set) var virtualTime: Int64 = 0
  private var finish: [String: Int64] = [:]
  /// Per account and priority in order of submission, which is the order of ranks.
  private var lanes: [String: [Waiting]] = [:]
  private var number = 0

  mutating func submit(_ account: String, _ priority: Priority = .normal, weight: Int64 = 1, count: Int = 1) {
    for _ in 0..<count {
      let place = FairQueue.place(
        priority: priority, weight: weight, virtualTime: virtualTime, finish: finish[account] ?? 0)
      finish[account] = place.finish
      number += 1
      lanes["\(account)/\(priority.word)", default: []].append(
        Waiting(rank: place.rank, number: number, account: account, priority: priority))
    }
  }

  func waiting(_ account: String, _ priority: Priority = .normal) -> Int {
    lanes["\(account)/\(priority.word)"]?.count ?? 0
  }

  /// Who is claimed next; nil when nobody waits.
  mutating func claim() -> Waiting? {
    let first = lanes.compactMap { lane in lane.value.first.map { (lane.key, $0) } }
      .min { ($0.1.rank, $0.1.number) < ($1.1.rank, $1.1.number) }
    guard let (lane, job) = first else { return nil }
    lanes[lane]?.removeFirst()
    virtualTime = FairQueue.advance(virtualTime, claimed: job.rank, priority: job.priority)
    return job
  }

  mutating func claims(_ count: Int) -> [String] { (0..<count).compactMap { _ in claim()?.account } }
}

@Suite struct FairQueueTests {
  @Test func oneAccountIsServedInOrder() {
    var market = Market()
    market.submit("a", count: 200)
    let numbers = (0..<200).compactMap { _ in market.claim()?.number }
    #expect(numbers == Array(1...200))
    #expect(market.claims(1).isEmpty)
  }

  /// Whoever floods first: half and half, in every stretch.
  @Test func twoFloods() {
    var market = Market()
    market.submit("a", count: 3_000)
    market.submit("b", count: 3_000)
    let served = market.claims(5_000)
    for start in stride(from: 0, to: 5_000, by: 100) {
      #expect((49...51).contains(served[start..<(start + 100)].count { $0 == "a" }))
    }
  }

  @Test(arguments: [(1, 4), (1, 16), (4, 16)] as [(Int64, Int64)]) func weights(light: Int64, heavy: Int64) {
    var market = Market()
    market.submit("light", weight: light, count: 3_000)
    market.submit("heavy", weight: heavy, count: 3_000)
    let served = market.claims(2_000).count { $0 == "heavy" }
    let share = Double(served) / 2_000
    #expect(abs(share - Double(heavy) / Double(light + heavy)) < 0.01)
  }

  /// A newcomer with one job does not wait behind a flood.
  @Test func newcomer() {
    var market = Market()
    market.submit("flood", count: 10_000)
    _ = market.claims(3_000)
    market.submit("newcomer")
    #expect(market.claims(2).contains("newcomer"))
  }

  /// An urgent job at the end of a long backlog must not carry virtual time over the whole backlog.
  @Test func newcomerAfterAnUrgentJobOfTheFlood() {
    var market = Market()
    market.submit("flood", count: 5_000)
    market.submit("flood", .urgent)
    let first = market.claim()
    #expect(first?.priority == .urgent)
    market.submit("newcomer")
    #expect(market.claims(4).contains("newcomer"))
  }

  /// Nor do many of them put a newcomer further back than they themselves were.
  @Test func newcomerAfterManyUrgentJobs() {
    var market = Market()
    market.submit("flood", count: 2_000)
    market.submit("flood", .urgent, count: 300)
    _ = market.claims(300)
    market.submit("newcomer")
    #expect(market.claims(302).contains("newcomer"))
  }

  /// In a market where everybody is urgent, past service gives a newcomer no credit.
  @Test(arguments: [Priority.low, .normal, .high, .urgent]) func noCreditForThePast(priority: Priority) {
    var market = Market()
    for _ in 0..<3_000 {
      market.submit("old", priority)
      _ = market.claim()
    }
    market.submit("old", priority, count: 200)
    market.submit("new", priority, count: 200)
    #expect((49...51).contains(market.claims(100).count { $0 == "old" }))
  }

  @Test func priorities() {
    var market = Market()
    for priority in [Priority.low, .normal, .high, .urgent] { market.submit("a", priority) }
    let order = (0..<4).compactMap { _ in market.claim()?.priority }
    #expect(order == [.urgent, .high, .normal, .low])
  }

  /// The ageing bound: a low job stands against urgent ones that never cease, for 20,000 claims.
  @Test func nobodyStarves() throws {
    var market = Market()
    market.submit("patient", .low)
    market.submit("usual", .normal)
    var claimedAt: [String: Int] = [:]
    for number in 1...20_000 {
      market.submit("pushing", .urgent, count: 20 - market.waiting("pushing", .urgent))
      let claimed = market.claim()
      let account = try #require(claimed).account
      if claimedAt[account] == nil { claimedAt[account] = number }
    }
    #expect(try #require(claimedAt["pushing"]) == 1)
    #expect((9_900...10_100).contains(try #require(claimedAt["usual"])))
    #expect((10_900...11_100).contains(try #require(claimedAt["patient"])))
  }

  @Test func ties() {
    var market = Market()
    for account in ["a", "b", "c"] { market.submit(account) }
    #expect(market.claims(3) == ["a", "b", "c"])
  }

  @Test func place() {
    let step = FairQueue.step
    #expect(FairQueue.place(priority: .normal, weight: 1, virtualTime: 0, finish: 0) == (0, step))
    #expect(FairQueue.place(priority: .normal, weight: 4, virtualTime: 10, finish: 7) == (10, 10 + step / 4))
    #expect(FairQueue.place(priority: .normal, weight: 1, virtualTime: 7, finish: 10) == (10, 10 + step))
    #expect(FairQueue.place(priority: .urgent, weight: 1, virtualTime: 0, finish: 0).rank == -10_000 * step)
    #expect(FairQueue.place(priority: .high, weight: 1, virtualTime: 0, finish: 0).rank == -1_000 * step)
    #expect(FairQueue.place(priority: .low, weight: 1, virtualTime: 0, finish: 0).rank == 1_000 * step)
    #expect(FairQueue.place(priority: .normal, weight: 0, virtualTime: 0, finish: 0).finish == step)
  }

  @Test(arguments: Priority.allCases, Priority.allCases) func reprioritise(old: Priority, new: Priority) {
    let before = FairQueue.place(priority: old, weight: 1, virtualTime: 5, finish: 99).rank
    let after = FairQueue.reprioritise(before, from: old, to: new)
    #expect(after == FairQueue.place(priority: new, weight: 1, virtualTime: 5, finish: 99).rank)
    #expect(FairQueue.reprioritise(after, from: new, to: old) == before)
    #expect((after < before) == (new > old))
  }

  @Test(arguments: [UInt64.random(in: 0 ... .max)]) func virtualTimeNeverGoesBack(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var time: Int64 = 0
    for _ in 0..<5_000 {
      let priority = Priority.allCases[random.below(4)]
      let rank = time + Int64.random(in: -20_000...20_000, using: &random) * FairQueue.step
      let next = FairQueue.advance(time, claimed: rank, priority: priority)
      #expect(next >= time, "seed \(seed)")
      time = next
    }
  }
}

@Suite struct BackoffTests {
  /// Always the top of the range, or always the bottom: 1, as 0 would be drawn again for ever.
  private struct Fixed: RandomNumberGenerator {
    let word: UInt64
    mutating func next() -> UInt64 { word }
  }

  @Test(
    arguments: [(-1, 1), (0, 1), (1, 2), (2, 4), (5, 32), (6, 60), (7, 60), (63, 60), (64, 60), (.max, 60)]
      as [(Int, Int64)])
  func ceiling(attempt: Int, seconds: Int64) {
    var highest = Fixed(word: .max)
    var lowest = Fixed(word: 1)
    #expect(Backoff.betweenTries.delay(attempt: attempt, using: &highest) == Seconds(seconds))
    #expect(Backoff.betweenTries.delay(attempt: attempt, using: &lowest) == Seconds(0))
  }

  @Test(arguments: [UInt64.random(in: 0 ... .max)]) func spreads(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let delays = (0..<4_000).map { _ in Backoff.reconnect.delay(attempt: 3, using: &random).milliseconds }
    #expect(delays.allSatisfy { (0...4_000).contains($0) }, "seed \(seed)")
    let mean = delays.reduce(0, +) / 4_000
    #expect((1_800...2_200).contains(mean), "seed \(seed)")
  }

  @Test func reconnect() {
    var highest = Fixed(word: .max)
    let delays = (0..<8).map { Backoff.reconnect.delay(attempt: $0, using: &highest).milliseconds }
    #expect(delays == [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000])
  }

  @Test func degenerate() {
    var highest = Fixed(word: .max)
    let none = Backoff(base: Seconds(0), cap: Seconds(0))
    #expect(none.delay(attempt: 9, using: &highest) == Seconds(0))
    let negative = Backoff(base: Seconds(-1), cap: Seconds(5))
    #expect(negative.delay(attempt: 9, using: &highest) == Seconds(0))
  }
}
