import TestRandomness
import Testing

@testable import ResultPackage

@Suite struct NoiseTests {
  private static func isNoise(_ bytes: [UInt8]) -> Bool { bytes.withUnsafeBytes { Noise.isAll($0) } }

  /// What the trial of the probe asks.
  private static func saves(_ bytes: [UInt8]) throws -> Bool {
    let none = UnsafeRawBufferPointer(start: nil, count: 0)
    let size = try bytes.withUnsafeBytes { try Deflater(level: 1).compress($0, after: none, isLast: true).count }
    return size <= bytes.count - bytes.count / 32
  }

  @Test(arguments: [4096, 4097, 16_384, 20_000, 32_767, 65_536])
  func randomBytesAreNoise(count: Int) {
    var random = SeededGenerator(seed: UInt64(count))
    for _ in 0..<20 { #expect(Self.isNoise(random.bytes(count))) }
  }

  @Test func fewBytesAreLeftToTheTrial() {
    var random = SeededGenerator(seed: 1)
    #expect(!Self.isNoise([]))
    #expect(!Self.isNoise(random.bytes(4095)))
  }

  /// Each of these is worth compressing, though some are even as a whole.
  @Test func whatCanBeSavedFromIsNoNoise() throws {
    var random = SeededGenerator(seed: 2)
    let block = random.bytes(1024)
    /// Keys of three bytes, each followed by bytes of chance.
    func records(keys: Int, chance: Int) -> [UInt8] {
      let keys = (0..<keys).map { _ in random.bytes(3) }
      var bytes: [UInt8] = []
      while bytes.count < 65_536 { bytes += keys[random.below(keys.count)] + random.bytes(chance) }
      return bytes
    }
    let halves = (0..<65_536).map { UInt8($0 / 16_384 % 2 * 128) + UInt8.random(in: 0...127, using: &random) }
    let samples: [String: [UInt8]] = [
      "zeros": Array(repeating: 0, count: 65_536), "counting": (0..<65_536).map { UInt8($0 & 255) },
      "a block again and again": (0..<64).flatMap { _ in block }, "ranges in turn": halves,
      "seven bits": (0..<65_536).map { _ in UInt8.random(in: 0...127, using: &random) },
      "700 keys": records(keys: 700, chance: 1), "2,000 keys": records(keys: 2_000, chance: 1),
      "8,000 keys": records(keys: 8_000, chance: 1), "400 keys, two bytes": records(keys: 400, chance: 2),
      "one repetition": { $0 + $0 }(random.bytes(16_384)),
    ]
    for (name, bytes) in samples {
      #expect(try Self.saves(bytes), "\(name)")
      #expect(!Self.isNoise(bytes), "\(name)")
    }
  }

  /// Mixtures of noise, repetitions and narrow ranges: where it says noise, the trial agrees.
  @Test func theTrialAgrees() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SeededGenerator(seed: seed)
    var noise = 0
    for round in 0..<400 {
      var bytes: [UInt8] = []
      let count = Int.random(in: 4096...65_536, using: &random)
      let share = Int.random(in: 0...40, using: &random)
      while bytes.count < count {
        let length = Int.random(in: 1...4096, using: &random)
        switch Int.random(in: 0..<100, using: &random) {
        case ..<share where bytes.count > 8:
          let from = Int.random(in: 0..<bytes.count, using: &random)
          bytes += bytes[from..<min(bytes.count, from + length)]
        case ..<(2 * share):
          let limit = UInt8.random(in: 1...255, using: &random)
          bytes += (0..<length).map { _ in UInt8.random(in: 0...limit, using: &random) }
        default: bytes += random.bytes(length)
        }
      }
      guard Self.isNoise(bytes) else { continue }
      noise += 1
      #expect(try !Self.saves(bytes), "seed \(seed), round \(round)")
    }
    #expect(noise >= 10)
  }
}
