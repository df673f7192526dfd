import Clocks
import Marketplace
import Testing

@testable import Coordinator

/// Who holds what until when, by a clock that the test moves.
struct LeaseTableTests {
  private let miner = Fixture.id(MinerKind.self, 1)
  private let other = Fixture.id(MinerKind.self, 2)
  private let job = Fixture.id(JobKind.self, 1)

  private func table(sweptAt start: Int64 = 0) -> LeaseTable {
    var table = LeaseTable(term: Seconds(10))
    _ = table.sweep(at: MonotonicTime(milliseconds: start))
    table.grant(
      hash: "h", job: job, tryNumber: 1, miner: miner, token: "t", at: MonotonicTime(milliseconds: start))
    return table
  }

  /// Sweeps every second up to `end`, as the service does, and returns when the lease was first overdue.
  private func overdue(_ table: inout LeaseTable, until end: Int64) -> Int64? {
    for time in stride(from: Int64(1000), through: end, by: 1000) {
      if !table.sweep(at: MonotonicTime(milliseconds: time)).isEmpty { return time }
    }
    return nil
  }

  @Test func `ends exactly at its term`() {
    var table = table()
    #expect(overdue(&table, until: 20_000) == 10_000)
  }

  @Test func `a renewal gives a full term from then`() {
    var table = table()
    #expect(overdue(&table, until: 9000) == nil)
    #expect(table.renew(token: "t", hash: "h", miner: miner, at: MonotonicTime(milliseconds: 9000)) != nil)
    for time in stride(from: Int64(10_000), to: 19_000, by: 1000) {
      #expect(table.sweep(at: MonotonicTime(milliseconds: time)).isEmpty)
    }
    #expect(table.sweep(at: MonotonicTime(milliseconds: 19_000)).count == 1)
  }

  @Test func `only its holder renews it`() {
    var table = table()
    #expect(table.renew(token: "t", hash: "h", miner: other, at: MonotonicTime(milliseconds: 1)) == nil)
    #expect(table.renew(token: "x", hash: "unknown", miner: miner, at: MonotonicTime(milliseconds: 1)) == nil)
  }

  @Test func `an ended lease can't be renewed`() {
    var table = table()
    #expect(table.end(hash: "h")?.job == job)
    #expect(table.end(hash: "h") == nil)
    #expect(table.renew(token: "t", hash: "h", miner: miner, at: MonotonicTime(milliseconds: 1)) == nil)
  }

  @Test func `a standstill of our own prolongs leases instead of ending them`() {
    var table = table()
    // 30 s without a sweep: the process was stopped. The holder could not be heard.
    #expect(table.sweep(at: MonotonicTime(milliseconds: 30_000)).isEmpty)
    var last: Int64?
    for time in stride(from: Int64(31_000), through: 60_000, by: 1000) where last == nil {
      if !table.sweep(at: MonotonicTime(milliseconds: time)).isEmpty { last = time }
    }
    #expect(last == 40_000)
  }

  @Test(arguments: [Int64(2000), 2001]) func `a gap counts as a standstill past the bound`(gap: Int64) {
    var table = LeaseTable(term: Seconds(1))
    _ = table.sweep(at: MonotonicTime(milliseconds: 0))
    table.grant(hash: "h", job: job, tryNumber: 1, miner: miner, token: nil, at: MonotonicTime(milliseconds: 0))
    #expect(table.sweep(at: MonotonicTime(milliseconds: gap)).isEmpty == (gap > 2000))
  }
}

/// A miner that does not stop a job when it should loses its lease, however well it renews.
struct OverrunTests {
  private let miner = Fixture.id(MinerKind.self, 1)
  private let job = Fixture.id(JobKind.self, 1)

  private func time(_ seconds: Int64) -> MonotonicTime { MonotonicTime(milliseconds: seconds * 1000) }

  private func table() -> LeaseTable {
    var table = LeaseTable(term: Seconds(10))
    _ = table.sweep(at: time(0))
    table.grant(hash: "h", job: job, tryNumber: 1, miner: miner, token: "t", at: time(0))
    return table
  }

  /// Renews and sweeps every second; returns when the lease was taken back and when it ended.
  private func run(_ table: inout LeaseTable, until end: Int64) -> (revoked: Int64?, ended: Int64?) {
    var revoked: Int64?
    for second in 1...end {
      _ = table.renew(token: "t", hash: "h", miner: miner, at: time(second))
      if !table.revokeOverruns(at: time(second)).isEmpty { revoked = revoked ?? second }
      if !table.sweep(at: time(second)).isEmpty { return (revoked, second) }
    }
    return (revoked, nil)
  }

  @Test(arguments: [LeaseTable.Stop.Reason.timeout, .cancel])
  func `taken back after time and margin, ended a term later`(
    reason: LeaseTable.Stop.Reason
  ) {
    var table = table()
    table.stop("h", within: Seconds(20), for: reason, at: time(0))
    let found = run(&table, until: 100)
    #expect(found.revoked == 20 + LeaseTable.stopMargin.whole)
    // It was renewed in the same second, just before.
    #expect(found.ended == 60)
    #expect(table.leases["h"]?.stop?.reason == reason && table.leases["h"]?.isRevoked == true)
  }

  @Test func `a reconnect does not give it back`() {
    var table = table()
    table.stop("h", within: Seconds(1), for: .timeout, at: time(0))
    for second in 1...31 as ClosedRange<Int64> {
      _ = table.renew(token: "t", hash: "h", miner: miner, at: time(second))
      _ = table.sweep(at: time(second))
    }
    #expect(table.revokeOverruns(at: time(31)).map(\.hash) == ["h"])
    #expect(table.revokeOverruns(at: time(32)).isEmpty)
    table.grant(hash: "h", job: job, tryNumber: 1, miner: miner, token: "t", at: time(32))
    #expect(table.renew(token: "t", hash: "h", miner: miner, at: time(33)) == nil)
    #expect(table.leases["h"]?.deadline == time(41))
  }

  @Test func `a standstill of our own is no fault of the miner`() {
    var table = table()
    table.stop("h", within: Seconds(1), for: .timeout, at: time(0))
    _ = table.sweep(at: time(600))
    #expect(table.revokeOverruns(at: time(600)).isEmpty)
  }
}

/// Identifiers that are the same in every run.
enum Fixture {
  struct Counter: RandomNumberGenerator {
    var value: UInt64
    mutating func next() -> UInt64 {
      value += 1
      return value
    }
  }

  static func id<Kind: IdentifierKind>(_ kind: Kind.Type, _ number: UInt64) -> Identifier<Kind> {
    var counter = Counter(value: number * 1000)
    return Identifier(at: Timestamp(milliseconds: 1_770_000_000_000), using: &counter)
  }
}
