import Marketplace
import Testing
import TestRandomness
import Wire

@testable import MarketplaceClient

@Suite struct LogAssemblerTests {
  static func piece(_ offset: Int64, _ data: [UInt8], tryNumber: Int = 1, end: Int64? = nil) -> LogPiece {
    LogPiece(
      job: "j", stream: .stdout, tryNumber: tryNumber, offset: offset, data: data,
      end: end.map { LogFact(length: $0, sha256: "") })
  }

  @Test func inOrder() {
    var logs = LogAssembler()
    #expect(logs.take(Self.piece(0, [1, 2])) == .emit(Self.piece(0, [1, 2])))
    #expect(logs.take(Self.piece(2, [3])) == .emit(Self.piece(2, [3])))
    #expect(logs.offsets[.stdout] == 3)
  }

  @Test func repetitionsAndOverlaps() {
    var logs = LogAssembler()
    _ = logs.take(Self.piece(0, [1, 2, 3]))
    #expect(logs.take(Self.piece(0, [1, 2, 3])) == .drop)
    #expect(logs.take(Self.piece(1, [2])) == .drop)
    #expect(logs.take(Self.piece(1, [2, 3, 4, 5])) == .emit(Self.piece(3, [4, 5])))
  }

  @Test func gaps() {
    var logs = LogAssembler()
    _ = logs.take(Self.piece(0, [1]))
    #expect(logs.take(Self.piece(3, [4])) == .missing(1..<3))
    #expect(logs.offsets[.stdout] == 1)
    _ = logs.take(Self.piece(1, [2, 3]))
    #expect(logs.take(Self.piece(3, [4])) == .emit(Self.piece(3, [4])))
    logs.skip(.stdout, in: 1, to: 10)
    #expect(logs.take(Self.piece(10, [9])) == .emit(Self.piece(10, [9])))
    logs.skip(.stdout, in: 1, to: 2)
    #expect(logs.offsets[.stdout] == 11)
  }

  @Test func theEndIsWholeOrMissing() {
    var logs = LogAssembler()
    #expect(logs.take(Self.piece(5, [], end: 5)) == .missing(0..<5))
    _ = logs.take(Self.piece(0, [1, 2, 3]))
    #expect(logs.take(Self.piece(3, [], end: 5)) == .missing(3..<5))
    #expect(logs.take(Self.piece(3, [4, 5], end: 5)) == .emit(Self.piece(3, [4, 5], end: 5)))
    #expect(logs.isEnded(.stdout, in: 1))
    #expect(!logs.isEnded(.stdout, in: 2))
    #expect(logs.take(Self.piece(5, [6])) == .drop)
  }

  @Test func aNewTryBeginsAtZeroAndOldOnesAreOver() {
    var logs = LogAssembler()
    _ = logs.take(Self.piece(0, [1, 2, 3]))
    #expect(logs.take(Self.piece(4, [5], tryNumber: 2)) == .missing(0..<4))
    #expect(logs.take(Self.piece(3, [4], tryNumber: 1)) == .drop)
    #expect(
      logs.take(Self.piece(0, [9, 9, 9, 9, 9], tryNumber: 2)) == .emit(Self.piece(0, [9, 9, 9, 9, 9], tryNumber: 2)))
    #expect(logs.offset(of: .stdout, in: 2) == 5)
    #expect(logs.offset(of: .stdout, in: 1) == 0)
  }

  @Test func negativeOffsetsAreRefused() {
    var logs = LogAssembler()
    #expect(logs.take(Self.piece(-1, [1, 2])) == .drop)
  }

  /// Any cutting, repeating, overlapping and leaving out, with gaps filled from the whole: the bytes come out once.
  @Test(arguments: UInt64(1)...100)
  func anyDelivery(_ seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let whole = (0..<Int.random(in: 0...200, using: &generator)).map { UInt8($0 & 255) }
    var logs = LogAssembler()
    var out: [UInt8] = []
    var isEnded = false
    func deliver(_ piece: LogPiece) {
      for _ in 0..<10 {
        switch logs.take(piece) {
        case .drop: return
        case .emit(let rest):
          #expect(rest.offset == Int64(out.count), "seed \(seed)")
          out += rest.data
          if rest.end != nil { isEnded = true }
          return
        case .missing(let range):
          let count = Int.random(in: 1...range.count, using: &generator)
          let start = Int(range.lowerBound)
          deliver(Self.piece(range.lowerBound, Array(whole[start..<(start + count)])))
        }
      }
      // Small fetches were not enough: the rest in one.
      let start = out.count
      deliver(Self.piece(Int64(start), Array(whole[start..<max(start, Int(piece.offset))])))
      deliver(piece)
    }
    for _ in 0..<20 {
      let start = Int.random(in: 0...whole.count, using: &generator)
      let count = Int.random(in: 0...(whole.count - start), using: &generator)
      deliver(Self.piece(Int64(start), Array(whole[start..<(start + count)])))
    }
    deliver(Self.piece(Int64(whole.count), [], end: Int64(whole.count)))
    #expect(out == whole, "seed \(seed)")
    #expect(isEnded, "seed \(seed)")
  }
}
