import NIOCore
import NIOEmbedded
import Testing

@testable import WebSocketTransport

@Suite struct DeadlineWheelTests {
  private final class Holder: DeadlineHolder {
    var wheelPosition = DeadlineWheel.Position()
    var fired: [Int64] = []
    var next: (NIODeadline) -> NIODeadline? = { _ in nil }

    func deadlineReached(_ now: NIODeadline) -> NIODeadline? {
      fired.append(Int64(now.uptimeNanoseconds) / 1_000_000)
      return next(now)
    }
  }

  @Test func firesWithinOneTickBeforeTheDeadline() {
    let loop = EmbeddedEventLoop()
    let wheel = DeadlineWheel(eventLoop: loop)
    let holders = (1...200).map { index in
      let holder = Holder()
      wheel.set(loop.now + .milliseconds(Int64(index) * 250), for: holder)
      return holder
    }
    loop.advanceTime(by: .seconds(60))
    for (index, holder) in holders.enumerated() {
      let deadline = Int64(index + 1) * 250
      #expect(holder.fired.count == 1)
      let early = deadline - (holder.fired.first ?? 0)
      // A deadline within the first tick comes at its end.
      #expect(early < 500 && (early >= 0 || deadline < 500), "\(deadline): \(holder.fired)")
    }
  }

  @Test func aNewDeadlineReplacesTheOld() {
    let loop = EmbeddedEventLoop()
    let wheel = DeadlineWheel(eventLoop: loop)
    let (first, second, third) = (Holder(), Holder(), Holder())
    for holder in [first, second, third] { wheel.set(loop.now + .seconds(2), for: holder) }
    wheel.set(nil, for: first)
    wheel.set(loop.now + .seconds(4), for: second)
    loop.advanceTime(by: .seconds(3))
    #expect(first.fired.isEmpty)
    #expect(second.fired.isEmpty)
    #expect(third.fired.count == 1)
    loop.advanceTime(by: .seconds(3))
    #expect(second.fired == [4_000])
  }

  @Test func aHolderAsksForItsNextDeadline() {
    let loop = EmbeddedEventLoop()
    let wheel = DeadlineWheel(eventLoop: loop)
    let holder = Holder()
    holder.next = { $0 + .seconds(25) }
    wheel.set(loop.now + .seconds(25), for: holder)
    loop.advanceTime(by: .seconds(101))
    #expect(holder.fired == [25_000, 50_000, 75_000, 100_000])
  }

  @Test func aFarDeadlineComesEarlyAndTheHolderAsksAgain() {
    let loop = EmbeddedEventLoop()
    let wheel = DeadlineWheel(eventLoop: loop, tick: .milliseconds(500), slotCount: 8)
    let holder = Holder()
    let deadline = loop.now + .seconds(9)
    holder.next = { $0 < deadline ? deadline : nil }
    wheel.set(deadline, for: holder)
    loop.advanceTime(by: .seconds(20))
    #expect(holder.fired.last == 9_000)
  }

  @Test func oneOfABatchMayRemoveAnother() {
    let loop = EmbeddedEventLoop()
    let wheel = DeadlineWheel(eventLoop: loop)
    let (first, second) = (Holder(), Holder())
    first.next = { now in
      wheel.set(now + .seconds(1), for: second)
      return nil
    }
    wheel.set(loop.now + .seconds(1), for: first)
    wheel.set(loop.now + .seconds(1), for: second)
    loop.advanceTime(by: .seconds(5))
    #expect(first.fired.count == 1)
    #expect(!second.fired.isEmpty)
  }
}
