import Clocks
import Marketplace
import Testing
import Wire

@testable import Coordinator

struct RateLimitTests {
  private let start = MonotonicTime(milliseconds: 0)

  @Test func `as many as the rate at once, and not one more`() {
    var buckets = TokenBuckets(rate: 5)
    for _ in 0..<5 { #expect(buckets.take(1, at: start) == nil) }
    #expect(buckets.take(1, at: start) == 1)
    // Others have buckets of their own.
    #expect(buckets.take(2, at: start) == nil)
  }

  @Test func `a fifth of a second brings the next`() {
    var buckets = TokenBuckets(rate: 5)
    for _ in 0..<5 { _ = buckets.take(1, at: start) }
    #expect(buckets.take(1, at: start + Seconds(milliseconds: 199)) == 1)
    #expect(buckets.take(1, at: start + Seconds(milliseconds: 200)) == nil)
    // A long rest fills it to the rate, not beyond.
    for _ in 0..<5 { #expect(buckets.take(1, at: start + Seconds(3_600)) == nil) }
    #expect(buckets.take(1, at: start + Seconds(3_600)) != nil)
  }

  @Test func `a flood of callers is bounded, and does not free the busy`() {
    var buckets = TokenBuckets(rate: 1)
    _ = buckets.take(-1, at: start)
    for caller in 0..<TokenBuckets.callers { _ = buckets.take(caller, at: start + Seconds(milliseconds: 1)) }
    #expect(buckets.take(-1, at: start + Seconds(2)) == nil)
    #expect(buckets.take(-1, at: start + Seconds(2)) == 1)
  }

  @Test func `zero is no limit, keys and addresses are told apart`() throws {
    let clock = ManualClock(wall: Timestamp(milliseconds: 0))
    let open = RateLimiter(rate: 0, clock: clock)
    for _ in 0..<100 { try open.check(key: "k", address: "a") }
    let limited = RateLimiter(rate: 1, clock: clock)
    try limited.check(key: "k", address: "a")
    try limited.check(key: "l", address: "a")
    try limited.check(key: nil, address: "a")
    try limited.check(key: nil, address: "b")
    for (key, address) in [("k", "c"), (nil, "a")] as [(String?, String)] {
      let problem = #expect(throws: Problem.self) { try limited.check(key: key, address: address) }
      #expect(problem?.status == 429 && problem?.retryAfter == 1)
    }
  }
}
