import Synchronization
import Testing

@testable import Coordinator

@Suite struct TurnsTests {
  @Test func onlySoManyAtOnceAndInOrder() {
    let turns = Turns(2)
    let ends = Mutex<[Int: @Sendable () -> Void]>([:])
    let begun = Mutex<[Int]>([])
    for number in 0..<5 {
      turns.take { end in
        begun.withLock { $0.append(number) }
        ends.withLock { $0[number] = end }
      }
    }
    func end(_ number: Int) { ends.withLock { $0.removeValue(forKey: number) }?() }
    #expect(begun.withLock { $0 } == [0, 1])
    end(1)
    #expect(begun.withLock { $0 } == [0, 1, 2])
    end(0)
    end(2)
    #expect(begun.withLock { $0 } == [0, 1, 2, 3, 4])
  }

  /// Readers that have left end their turns at once, any number of them in a row.
  @Test func manyThatEndAtOnce() {
    let turns = Turns(1)
    let first = Mutex<(@Sendable () -> Void)?>(nil)
    turns.take { end in first.withLock { $0 = end } }
    let count = Mutex(0)
    for _ in 0..<100_000 {
      turns.take { end in
        count.withLock { $0 += 1 }
        end()
      }
    }
    #expect(count.withLock { $0 } == 0)
    first.withLock { $0 }?()
    #expect(count.withLock { $0 } == 100_000)
  }
}
