import Clocks
import Marketplace
import Testing

@testable import Miner

@Suite("Departure")
struct DepartureTests {
  private func time(_ seconds: Int64) -> MonotonicTime { MonotonicTime(milliseconds: seconds * 1000) }

  /// A miner that was asked so often. A class, since `#expect` takes no changing calls of values.
  private final class Asked {
    private var departure = Departure(patience: Seconds(300), grace: Seconds(10), reportPatience: Seconds(2))

    init(_ times: Int, at now: MonotonicTime) { for _ in 0..<times { departure.ask(at: now) } }

    func isDue(_ holdings: Departure.Holdings, at now: MonotonicTime) -> Bool { departure.isDue(holdings, at: now) }
  }

  private func asked(_ times: Int, at now: MonotonicTime) -> Asked { Asked(times, at: now) }

  /// Every order, held or not, connected or not.
  @Test func `who was not asked stays, who holds nothing goes`() {
    for payloads in 0...1 {
      for results in 0...1 {
        for isConnected in [false, true] {
          let holdings = Departure.Holdings(payloads: payloads, results: results, isConnected: isConnected)
          let stays = asked(0, at: time(0))
          #expect(!stays.isDue(holdings, at: time(1_000_000)))
          for orders in 1...3 where holdings.isEmpty {
            let departure = asked(orders, at: time(0))
            #expect(departure.isDue(holdings, at: time(0)), "asked \(orders) times")
          }
          for orders in 3...5 {
            let departure = asked(orders, at: time(0))
            #expect(departure.isDue(holdings, at: time(0)), "at once, asked \(orders) times")
          }
        }
      }
    }
  }

  @Test func `a drain waits for what runs, however long, with a coordinator and without`() {
    for isConnected in [false, true] {
      let departure = asked(1, at: time(0))
      let running = Departure.Holdings(payloads: 1, results: 1, isConnected: isConnected, leasedUntil: time(15))
      for second in stride(from: 0, to: 1_000_000, by: 10_000) {
        #expect(!departure.isDue(running, at: time(Int64(second))))
      }
    }
  }

  @Test func `a drain waits for the coordinator's word on results while it is there`() {
    let departure = asked(1, at: time(0))
    let results = Departure.Holdings(results: 1, isConnected: true, leasedUntil: time(15))
    #expect(!departure.isDue(results, at: time(1_000_000)))
  }

  @Test func `without a coordinator results are kept for their leases and the patience`() {
    let departure = asked(1, at: time(0))
    var holdings = Departure.Holdings(results: 2, isConnected: false, leasedUntil: time(115))
    #expect(!departure.isDue(holdings, at: time(100)))
    #expect(!departure.isDue(holdings, at: time(414)))
    #expect(departure.isDue(holdings, at: time(415)))
    // A connection begins it anew.
    holdings.isConnected = true
    #expect(!departure.isDue(holdings, at: time(416)))
    holdings.isConnected = false
    holdings.leasedUntil = time(200)
    #expect(!departure.isDue(holdings, at: time(500)))
    #expect(!departure.isDue(holdings, at: time(799)))
    #expect(departure.isDue(holdings, at: time(800)))
  }

  @Test func `what never ran is not waited for without a coordinator`() {
    let departure = asked(1, at: time(0))
    #expect(!departure.isDue(Departure.Holdings(refusals: 1, isConnected: true), at: time(0)))
    #expect(departure.isDue(Departure.Holdings(refusals: 1, isConnected: false, leasedUntil: time(9)), at: time(0)))
  }

  @Test func `leaving waits for the grace and a little, never for a coordinator that is gone`() {
    let departure = asked(2, at: time(100))
    let running = Departure.Holdings(payloads: 1, isConnected: false)
    #expect(!departure.isDue(running, at: time(100)))
    #expect(!departure.isDue(running, at: time(111)))
    #expect(departure.isDue(running, at: time(112)))

    let settling = asked(2, at: time(100))
    #expect(!settling.isDue(running, at: time(101)))
    #expect(settling.isDue(Departure.Holdings(results: 1, isConnected: false), at: time(101)))

    let reporter = asked(2, at: time(100))
    #expect(!reporter.isDue(running, at: time(101)))
    let reporting = Departure.Holdings(results: 1, isConnected: true)
    #expect(!reporter.isDue(reporting, at: time(103)))
    #expect(!reporter.isDue(reporting, at: time(104)))
    #expect(reporter.isDue(reporting, at: time(105)))
  }

  @Test func `what lies undelivered is named, but not without end`() {
    #expect(UndeliveredResults(folders: ["/w/jobs/a.1"]).description.contains("1 finished result could not"))
    let many = UndeliveredResults(folders: (0..<11).map { "/w/\($0)" })
    #expect(many.description.contains("11 finished results") && many.description.hasSuffix("/w/9, …"))
  }
}
