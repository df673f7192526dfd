import Clocks
import Marketplace
import Testing

@testable import Coordinator

private func at(_ milliseconds: Int64) -> MonotonicTime { MonotonicTime(milliseconds: milliseconds) }

@Suite struct CoalescerTests {
  var coalescer = Coalescer<String, Int>(interval: Seconds(milliseconds: 100))

  @Test mutating func theLatestWins() {
    for value in 1...50 { coalescer.offer(value, for: "a") }
    #expect(coalescer.take(at: at(0)).map(\.value) == [50])
    #expect(coalescer.take(at: at(0)).isEmpty)
  }

  @Test mutating func atMostOneInAnInterval() {
    coalescer.offer(1, for: "a")
    #expect(coalescer.take(at: at(0)).count == 1)
    coalescer.offer(2, for: "a")
    #expect(coalescer.nextDue == at(100))
    #expect(coalescer.take(at: at(99)).isEmpty)
    #expect(coalescer.take(at: at(100)).map(\.value) == [2])
  }

  @Test mutating func tenASecondUnderAFlood() {
    var taken = 0
    for time in Int64(0)..<1000 {
      coalescer.offer(Int(time), for: "a")
      taken += coalescer.take(at: at(time)).count
    }
    #expect(taken == 10)
  }

  @Test mutating func ordersByFirstWait() {
    for key in ["c", "a", "b", "a"] { coalescer.offer(1, for: key) }
    #expect(coalescer.take(at: at(0)).map(\.key) == ["c", "a", "b"])
  }

  @Test mutating func withdrawnValuesNeverLeave() throws {
    coalescer.offer(1, for: "a")
    coalescer.withdraw("a")
    #expect(coalescer.nextDue == nil && coalescer.waiting == 0)
    #expect(coalescer.take(at: at(0)).isEmpty)
    coalescer.offer(2, for: "a")
    let due = try #require(coalescer.take(at: at(0)).first)
    #expect(coalescer.isCurrent(due))
    coalescer.withdraw("a")
    #expect(!coalescer.isCurrent(due))
  }

  @Test mutating func forgetsSilentKeys() {
    for key in 0..<1000 { coalescer.offer(key, for: "\(key)") }
    _ = coalescer.take(at: at(0))
    #expect(coalescer.count == 1000)
    _ = coalescer.take(at: at(100))
    #expect(coalescer.count == 0)
  }
}

@Suite struct InboundRateTests {
  @Test func atTheLimitAndOnePast() {
    var rate = InboundRate()
    var admitted: [Bool] = []
    for time in Array(Int64(0)..<50) + [999, 1000] { admitted.append(rate.admit(at: at(time), limit: 50)) }
    #expect(admitted == Array(repeating: true, count: 50) + [false, true])
  }
}

@Suite struct FeedAdmissionTests {
  static func admission() -> FeedAdmission {
    var limits = FeedLimits()
    limits.connectionsPerAccount = 2
    limits.connectionsPerAddress = 3
    return FeedAdmission(limits: limits)
  }

  @Test func accountsAtTheLimitAndOnePast() throws {
    let admission = Self.admission()
    var tickets = try (0..<2).map { try admission.admit(address: "a\($0)", account: Known.account) }
    #expect(throws: FeedRefusal.tooManyOfAccount(limit: 2)) {
      try admission.admit(address: "b", account: Known.account)
    }
    _ = try admission.admit(address: "b", account: Known.stranger)
    tickets.removeLast()
    _ = try admission.admit(address: "b", account: Known.account)
  }

  @Test func addressesAtTheLimitAndOnePast() throws {
    let admission = Self.admission()
    let tickets = try (0..<3).map { _ in try admission.admit(address: "::1", account: nil) }
    #expect(throws: FeedRefusal.tooManyFromAddress(limit: 3)) { try admission.admit(address: "::1", account: nil) }
    withExtendedLifetime(tickets) {}
    _ = try admission.admit(address: nil, account: nil)
  }

  @Test func aLateKeyCountsToo() throws {
    let admission = Self.admission()
    let tickets = try (0..<3).map { try admission.admit(address: "a\($0)", account: nil) }
    #expect(tickets[0].claim(Known.account) && tickets[1].claim(Known.account))
    #expect(tickets[0].claim(Known.account))
    #expect(!tickets[2].claim(Known.account))
    #expect(tickets[2].claim(Known.stranger))
    #expect(!tickets[2].claim(Known.account))
  }

  /// Neither the account's count nor the address's.
  @Test func aRefusalCountsNowhere() throws {
    let admission = Self.admission()
    let accounts = try (0..<2).map { _ in try admission.admit(address: "a", account: Known.account) }
    for _ in 0..<5 {
      #expect(throws: FeedRefusal.self) { try admission.admit(address: "a", account: Known.account) }
    }
    let last = try admission.admit(address: "a", account: Known.stranger)
    for _ in 0..<5 {
      #expect(throws: FeedRefusal.self) { try admission.admit(address: "a", account: Known.stranger) }
    }
    _ = try admission.admit(address: "b", account: Known.stranger)
    withExtendedLifetime((accounts, last)) {}
  }

  @Test func releasedTicketsAreForgotten() throws {
    let admission = Self.admission()
    for _ in 0..<100 {
      let ticket = try admission.admit(address: "a", account: nil)
      #expect(ticket.claim(Known.account))
    }
  }
}
