import Marketplace
import Testing
import TestRandomness
import Wire

@testable import MarketplaceClient

@Suite struct RetryPolicyTests {
  static func problem(_ status: Int, retryAfter: Int? = nil) -> ClientError {
    .problem(Problem(status, "x", "y", retryAfter: retryAfter))
  }

  @Test(arguments: [
    (400, false), (401, false), (403, false), (404, false), (409, false), (410, false), (422, false), (425, false),
    (429, true), (500, true), (501, false), (502, true), (503, true), (504, true), (505, false), (507, true),
  ])
  func whichStatuses(_ status: Int, _ isTransient: Bool) {
    #expect(RetryPolicy.isTransient(Self.problem(status)) == isTransient)
  }

  @Test func otherErrors() {
    #expect(RetryPolicy.isTransient(.unreachable(url: "u", reason: "r")))
    for error: ClientError in [
      .unexpected("x"), .integrity("x"), .invalid("a", "b"), .file(path: "p", operation: "o", code: 1),
      .timedOut(after: Seconds(1), last: nil),
    ] {
      #expect(!RetryPolicy.isTransient(error))
    }
  }

  @Test func attemptsAreBounded() {
    var generator = SeededGenerator(seed: 1)
    let policy = RetryPolicy(maximumAttempts: 3)
    #expect(policy.delay(after: Self.problem(503), attempt: 2, using: &generator) != nil)
    #expect(policy.delay(after: Self.problem(503), attempt: 3, using: &generator) == nil)
  }

  @Test func retryAfterIsAFloorAndHasALimit() throws {
    var generator = SeededGenerator(seed: 2)
    let policy = RetryPolicy()
    for attempt in 1...4 {
      let wait = try #require(
        policy.delay(after: Self.problem(429, retryAfter: 30), attempt: attempt, using: &generator))
      #expect(wait >= Seconds(30))
      #expect(wait <= Seconds(35))
    }
    #expect(policy.delay(after: Self.problem(429, retryAfter: 31), attempt: 1, using: &generator) == nil)
  }

  @Test func jitterStaysUnderItsCeiling() {
    var generator = SeededGenerator(seed: 3)
    let policy = RetryPolicy(maximumAttempts: 100)
    for attempt in 1...50 {
      for _ in 0..<50 {
        let wait = policy.delay(after: Self.problem(500), attempt: attempt, using: &generator) ?? Seconds(99)
        #expect(wait.milliseconds <= min(5000, 200 << Int64(min(attempt - 1, 20))))
      }
    }
  }
}
