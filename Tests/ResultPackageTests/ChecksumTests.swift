import CZlib
import TestRandomness
import Testing

@testable import ResultPackage

@Suite struct ChecksumTests {
  private static func checksum(_ pieces: [[UInt8]]) -> UInt32 {
    var checksum = Checksum()
    for piece in pieces { piece.withUnsafeBytes { checksum.update($0) } }
    return checksum.value
  }

  /// The check value of every catalogue of CRCs.
  @Test func checkValue() {
    #expect(Self.checksum([]) == 0)
    #expect(Self.checksum([[]]) == 0)
    #expect(Self.checksum([Array("123456789".utf8)]) == 0xCBF4_3926)
    #expect(Self.checksum("123456789".utf8.map { [$0] }) == 0xCBF4_3926)
  }

  /// Another library's, whole and in pieces of any length and place in memory.
  @Test func zlibAgrees() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SeededGenerator(seed: seed)
    for _ in 0..<200 {
      let bytes = random.bytes(random.below(70_000))
      let expected = UInt32(truncatingIfNeeded: crc32_z(0, bytes, bytes.count))
      var pieces: [[UInt8]] = []
      var rest = bytes[...]
      while !rest.isEmpty {
        let piece = rest.prefix(1 + random.below(random.chance(oneIn: 3) ? 40_000 : 300))
        pieces.append(Array(piece))
        rest = rest.dropFirst(piece.count)
      }
      #expect(Self.checksum([bytes]) == expected, "seed \(seed), \(bytes.count) bytes")
      #expect(Self.checksum(pieces) == expected, "seed \(seed), pieces of \(pieces.map(\.count))")
      var checksum = Checksum()
      let skipped = min(bytes.count, 1 + random.below(63))
      bytes.withUnsafeBytes { checksum.update(UnsafeRawBufferPointer(rebasing: $0[skipped...])) }
      let tail = Array(bytes[skipped...])
      #expect(checksum.value == UInt32(truncatingIfNeeded: crc32_z(0, tail, tail.count)), "seed \(seed)")
    }
  }
}
