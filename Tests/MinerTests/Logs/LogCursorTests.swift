import Testing
import TestRandomness
import Wire

@testable import Miner

@Suite("Log cursor")
struct LogCursorTests {
  @Test func `chunks are bounded in size and number`() {
    var cursor = LogCursor()
    #expect(cursor.next() == nil && cursor.isDrained)
    cursor.grew(to: 1_000_000)
    for index in 0..<LogCursor.window {
      let start = Int64(index * LogChunk.maximumData)
      #expect(cursor.next() == start..<(start + Int64(LogChunk.maximumData)))
    }
    #expect(cursor.next() == nil)
    cursor.acknowledged(Int64(LogChunk.maximumData))
    #expect(cursor.next() != nil && cursor.next() == nil)
  }

  @Test func `when all are answered and something is missing, it is sent again`() {
    var cursor = LogCursor()
    cursor.grew(to: 10)
    #expect(cursor.next() == 0..<10)
    cursor.rejected()
    #expect(!cursor.isDrained && cursor.next() == 0..<10)
    cursor.acknowledged(4)
    #expect(cursor.next() == 4..<10)
  }

  @Test func `a new connection goes on where the coordinator is, also when it forgot`() {
    var cursor = LogCursor()
    cursor.grew(to: 100)
    _ = cursor.next()
    cursor.acknowledged(100)
    #expect(cursor.isDrained)
    cursor.resume(from: 30)
    #expect(cursor.next() == 30..<100)
    cursor.resume(from: 1_000)
    #expect(cursor.isDrained && cursor.next() == nil)
    cursor.resume(from: -1)
    #expect(cursor.next() == 0..<100)
  }

  @Test func `nonsense from the other side does no harm`() {
    var cursor = LogCursor()
    cursor.grew(to: 5)
    cursor.acknowledged(99)
    #expect(cursor.acknowledged == 5 && cursor.isDrained)
    cursor.acknowledged(-3)
    cursor.rejected()
    #expect(cursor.acknowledged == 5 && cursor.inFlight == 0)
    cursor.grew(to: 3)
    #expect(cursor.written == 5)
  }

  /// A coordinator that drops chunks, restarts and forgets unsynced bytes ends with the whole log, in order.
  @Test func `everything arrives once in order whatever is lost`() {
    for seed in 0..<200 as Range<UInt64> {
      var random = SeededGenerator(seed: seed)
      var cursor = LogCursor()
      let total = Int64.random(in: 1...2_000_000, using: &random)
      var stored: Int64 = 0
      var wire: [Range<Int64>] = []
      for _ in 0..<20_000 {
        if cursor.written < total {
          cursor.grew(to: min(total, cursor.written + Int64.random(in: 0...100_000, using: &random)))
        }
        if let range = cursor.next() { wire.append(range) }
        if !wire.isEmpty, Bool.random(using: &random) {
          let range = wire.removeFirst()
          if Int.random(in: 0..<10, using: &random) == 0 {
            cursor.rejected()
          } else {
            // Appended, a duplicate or a gap: the answer is the length either way.
            if range.lowerBound <= stored { stored = max(stored, range.upperBound) }
            cursor.acknowledged(stored)
          }
        }
        if Int.random(in: 0..<200, using: &random) == 0 {
          wire = []
          stored -= min(stored, Int64.random(in: 0...50_000, using: &random))
          cursor.resume(from: stored)
        }
        #expect(cursor.inFlight <= LogCursor.window)
        if stored == total && cursor.isDrained && wire.isEmpty { break }
      }
      #expect(stored == total && cursor.acknowledged == total, "seed \(seed)")
    }
  }
}
