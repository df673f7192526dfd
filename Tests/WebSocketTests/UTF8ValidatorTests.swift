import Testing
import TestRandomness
import WebSocket

@Suite struct UTF8ValidatorTests {
  /// Whole-text verdict in pieces of `size`; and the index of the octet at which it was refused.
  private func check(_ bytes: [UInt8], piece size: Int) -> (isValid: Bool, refusedBy: Int?) {
    var validator = UTF8Validator()
    var offset = 0
    while offset < bytes.count {
      let end = min(offset + size, bytes.count)
      guard bytes[offset..<end].withUnsafeBytes({ validator.append($0) }) else { return (false, end - 1) }
      offset = end
    }
    return (validator.isComplete, nil)
  }

  private func isValid(_ bytes: [UInt8]) -> Bool { String(validating: bytes, as: UTF8.self) != nil }

  @Test func everyTextOfUpToTwoOctets() {
    var wrong = 0
    for first in UInt8.min...UInt8.max {
      if check([first], piece: 1).isValid != isValid([first]) { wrong += 1 }
      for second in UInt8.min...UInt8.max where check([first, second], piece: 2).isValid != isValid([first, second]) {
        wrong += 1
      }
    }
    #expect(wrong == 0)
  }

  /// Every lead octet of long forms with all octets that matter behind it.
  @Test func longFormsWithEveryBoundaryOctet() {
    let edges: [UInt8] = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF]
    var wrong: [[UInt8]] = []
    for lead in UInt8(0xC0)...0xFF {
      for a in UInt8.min...UInt8.max {
        for b in edges {
          for bytes in [[lead, a, b], [lead, a, b, 0x80], [lead, a, b, 0x41], [lead, a, b, 0xBF, 0x41]]
          where check(bytes, piece: 2).isValid != isValid(bytes) {
            wrong.append(bytes)
          }
        }
      }
    }
    #expect(wrong.isEmpty, "\(wrong.prefix(5))")
  }

  @Test func everyScalarIsAccepted() {
    var wrong = 0
    for value in UInt32(0)...0x10FFFF {
      guard let scalar = Unicode.Scalar(value), let bytes = UTF8.encode(scalar).map(Array.init) else { continue }
      if !check(bytes, piece: 1).isValid { wrong += 1 }
    }
    #expect(wrong == 0)
  }

  @Test(arguments: [UInt64](1...8))
  func randomTextsAgreeWithString(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    for _ in 0..<2_000 {
      var bytes = Array(random.text(Int.random(in: 0...40, using: &random)).utf8)
      // Half of them with one octet changed, so that both verdicts are common.
      if !bytes.isEmpty, Bool.random(using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      for piece in [1, 2, 3, 8, 64] {
        #expect(check(bytes, piece: piece).isValid == isValid(bytes), "seed \(seed): \(bytes) in pieces of \(piece)")
      }
    }
  }

  /// A prefix is refused exactly when nothing could make it valid: with up to three more continuation octets.
  @Test func refusesAtTheFirstHopelessOctet() {
    func canBecomeValid(_ bytes: [UInt8]) -> Bool {
      let tails: [[UInt8]] = [
        [], [0x80], [0x80, 0x80], [0x80, 0x80, 0x80], [0xBF], [0xBF, 0x80], [0xBF, 0x80, 0x80],
      ]
      return tails.contains { isValid(bytes + $0) }
    }
    var random = SeededGenerator(seed: 99)
    for _ in 0..<20_000 {
      let lead: [UInt8] = [0xC2, 0xDF, 0xE0, 0xE1, 0xED, 0xEF, 0xF0, 0xF1, 0xF4, 0xC0, 0xF5, 0x80, 0x41]
      let bytes =
        [lead[Int.random(in: 0..<lead.count, using: &random)]]
        + (0..<3).map { _ in UInt8.random(in: 0x70...0xCF, using: &random) }
      let hopeless = (0..<bytes.count).first { !canBecomeValid(Array(bytes[...$0])) }
      #expect(check(bytes, piece: 1).refusedBy == hopeless, "\(bytes)")
    }
  }
}
