import Clocks
import Marketplace
import Testing
import TestRandomness

@testable import Miner

@Suite("Lease ledger")
struct LeaseLedgerTests {
  private func at(_ milliseconds: Int64) -> MonotonicTime { MonotonicTime(milliseconds: milliseconds) }

  @Test func `a renewal counts from when it was asked for, not from its answer`() {
    var ledger = LeaseLedger(margin: Seconds(2))
    ledger.grant("a", milliseconds: 15_000, from: at(0))
    #expect(ledger.nextFence == at(13_000))
    #expect(ledger.renewal(at: at(5_000)) == [["a"]])
    // The answer comes much later: what counts is 5,000.
    #expect(ledger.answered(renewed: ["a": 15_000], lost: []).isEmpty)
    #expect(ledger.nextFence == at(18_000))
  }

  @Test func `each lease is fenced once, exactly at its deadline less the margin`() {
    var ledger = LeaseLedger(margin: Seconds(2))
    ledger.grant("a", milliseconds: 10_000, from: at(0))
    ledger.grant("b", milliseconds: 20_000, from: at(0))
    #expect(ledger.fenced(at: at(7_999)).isEmpty)
    #expect(ledger.fenced(at: at(8_000)) == ["a"])
    #expect(ledger.fenced(at: at(9_000)).isEmpty)
    #expect(ledger.nextFence == at(18_000))
    // Renewed after all (a report goes on): it counts again.
    _ = ledger.renewal(at: at(9_000))
    _ = ledger.answered(renewed: ["a": 10_000, "b": 10_000], lost: [])
    #expect(ledger.fenced(at: at(18_000)) == ["a", "b"])
  }

  @Test func `the margin of a short lease is a quarter of its term`() {
    var ledger = LeaseLedger(margin: Seconds(3))
    ledger.grant("a", milliseconds: 2_000, from: at(0))
    #expect(ledger.nextFence == at(1_500))
    ledger.grant("b", milliseconds: 12_000, from: at(0))
    ledger.forget("a")
    #expect(ledger.nextFence == at(9_000))
  }

  /// A message that was held up tells of a lease that began long ago.
  @Test func `an assignment counts from the last question that was answered before it`() {
    var ledger = LeaseLedger(margin: Seconds(2))
    ledger.connected(asked: at(1_000))
    ledger.assigned("a", milliseconds: 15_000, at: at(9_000))
    #expect(ledger.nextFence == at(14_000))
    _ = ledger.renewal(at: at(10_000))
    _ = ledger.answered(renewed: ["a": 15_000], lost: [])
    ledger.assigned("b", milliseconds: 15_000, at: at(20_000))
    #expect(ledger.backstop(of: "b") == at(24_000))
    // Much too late: it must be stopped at once.
    ledger.assigned("c", milliseconds: 15_000, at: at(90_000))
    #expect(ledger.fenced(at: at(90_000)).contains("c"))
  }

  @Test func `the backstop lies between the fence and the deadline`() {
    var ledger = LeaseLedger(margin: Seconds(3))
    ledger.grant("a", milliseconds: 15_000, from: at(0))
    ledger.grant("b", milliseconds: 2_000, from: at(0))
    #expect(ledger.backstop(of: "a") == at(13_500))
    #expect(ledger.backstop(of: "b") == at(1_750))
    #expect(ledger.backstop(of: "c") == nil)
  }

  @Test func `lost leases are forgotten, strangers are not mentioned`() {
    var ledger = LeaseLedger(margin: Seconds(1))
    ledger.grant("a", milliseconds: 10_000, from: at(0))
    _ = ledger.renewal(at: at(1))
    #expect(ledger.answered(renewed: [:], lost: ["a", "zzz"]) == ["a"])
    #expect(ledger.leases.isEmpty && ledger.nextFence == nil)
    _ = ledger.answered(renewed: ["a": 10_000], lost: [])
    #expect(ledger.leases.isEmpty, "an answer must not bring a lease back")
  }

  @Test func `a word about a lost lease that nobody asked for is no answer`() {
    var ledger = LeaseLedger(margin: Seconds(1))
    for lease in ["a", "b"] { ledger.grant(lease, milliseconds: 10_000, from: at(0)) }
    _ = ledger.renewal(at: at(1_000))
    #expect(ledger.answered(renewed: [:], lost: ["b"]) == ["b"])
    _ = ledger.renewal(at: at(5_000))
    // The answer to the first question still counts from the first.
    _ = ledger.answered(renewed: ["a": 10_000], lost: ["b"])
    #expect(ledger.nextFence == at(10_000))
    _ = ledger.answered(renewed: ["a": 10_000], lost: [])
    #expect(ledger.nextFence == at(14_000))
  }

  @Test func `answers over a connection that is gone do not count`() {
    var ledger = LeaseLedger(margin: Seconds(1))
    ledger.grant("a", milliseconds: 10_000, from: at(0))
    _ = ledger.renewal(at: at(8_000))
    ledger.disconnected()
    _ = ledger.answered(renewed: ["a": 10_000], lost: [])
    #expect(ledger.nextFence == at(9_000))
  }

  @Test func `nothing shortens a lease`() {
    var ledger = LeaseLedger(margin: Seconds(1))
    ledger.grant("a", milliseconds: 10_000, from: at(5_000))
    ledger.grant("a", milliseconds: 10_000, from: at(0))
    #expect(ledger.nextFence == at(14_000))
  }

  /// The word of a lost lease and an assignment lay in a socket while the miner's machine stood still.
  @Test func `what names only lost leases tells nothing about when we were heard`() {
    var ledger = LeaseLedger(margin: Seconds(1))
    ledger.connected(asked: at(0))
    _ = ledger.renewal(at: at(30_000))
    _ = ledger.answered(renewed: [:], lost: ["earlier"])
    ledger.assigned("a", milliseconds: 10_000, at: at(30_001))
    #expect(ledger.fenced(at: at(30_001)) == ["a"])
  }

  @Test func `many leases are renewed in batches, none keeps the miner online`() {
    var ledger = LeaseLedger(margin: Seconds(1))
    #expect(ledger.renewal(at: at(0)) == [[]])
    for index in 0..<(LeaseLedger.renewalBatch + 1) { ledger.grant("l\(index)", milliseconds: 10_000, from: at(0)) }
    let batches = ledger.renewal(at: at(100))
    #expect(batches.map(\.count) == [LeaseLedger.renewalBatch, 1])
    #expect(Set(batches.joined()).count == LeaseLedger.renewalBatch + 1)
    for batch in batches {
      _ = ledger.answered(renewed: Dictionary(uniqueKeysWithValues: batch.map { ($0, 10_000) }), lost: [])
    }
    #expect(ledger.nextFence == at(9_100))
  }

  /// Whatever is delayed or lost, the deadline here is never later than the coordinator's own.
  @Test func `the fence comes before the coordinator's deadline under any delays`() {
    for seed in 0..<300 as Range<UInt64> {
      var random = SeededGenerator(seed: seed)
      var ledger = LeaseLedger(margin: Seconds(milliseconds: 500))
      var now: Int64 = 0
      // The assignment took no time at all, or the margin must cover it.
      var truth: Int64 = 10_000
      ledger.grant("a", milliseconds: 10_000, from: at(0))
      var waiting: [(answerAt: Int64, deadline: Int64)] = []
      for _ in 0..<200 {
        now += Int64.random(in: 1...1_500, using: &random)
        for answer in waiting where answer.answerAt <= now {
          _ = ledger.answered(renewed: ["a": 10_000], lost: [])
        }
        waiting.removeAll { $0.answerAt <= now }
        if ledger.fenced(at: at(now)).contains("a") { break }
        #expect(now < truth, "seed \(seed): the lease was over at \(truth), it is \(now)")
        _ = ledger.renewal(at: at(now))
        if Bool.random(using: &random) {
          let arrives = now + Int64.random(in: 0...3_000, using: &random)
          truth = max(truth, arrives + 10_000)
          let last = waiting.last?.answerAt ?? 0
          waiting.append((max(last, arrives + Int64.random(in: 0...3_000, using: &random)), truth))
        }
      }
      if let fence = ledger.nextFence { #expect(fence.milliseconds < truth, "seed \(seed)") }
    }
  }

  /// After half a term without a word an assignment may be old; a renewal's answer settles it.
  @Test func anAssignmentAfterALongSilenceIsDoubted() {
    var ledger = LeaseLedger(margin: Seconds(3))
    #expect(!ledger.doubts(milliseconds: 10_000, at: at(90_000)), "nothing is known yet")
    ledger.connected(asked: at(1_000))
    #expect(!ledger.doubts(milliseconds: 10_000, at: at(6_000)))
    #expect(ledger.doubts(milliseconds: 10_000, at: at(6_001)))
    _ = ledger.renewal(at: at(6_001))
    _ = ledger.answered(renewed: [:], lost: [])
    #expect(!ledger.doubts(milliseconds: 10_000, at: at(11_001)))
  }
}
