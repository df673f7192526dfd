/// Bytes from which deflate can hardly save anything: all about equally frequent, and next to nothing repeated. A trial
/// takes twenty times as long to find the same.
enum Noise {
  /// Deflate makes new codes this often where nothing is repeated (zlib's `lit_bufsize` at memory level 8, less one):
  /// bytes that are even only over a longer stretch can be saved from.
  private static let block = 16_383
  /// What fewer bytes are is not looked at: chance alone makes them uneven.
  private static let minimum = 2048

  static func isAll(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.count >= 2 * minimum else { return false }
    for start in stride(from: 0, through: bytes.count - minimum, by: block) {
      let part = bytes[start..<min(start + block, bytes.count)]
      guard isEven(UnsafeRawBufferPointer(rebasing: part)) else { return false }
    }
    return repetitions(bytes) < bytes.count / 128
  }

  /// Whether codes for single bytes can't save a fortieth.
  ///
  /// The logarithm of the sum of the squared frequencies is a lower bound of the entropy (Rényi 1961: entropies fall with
  /// their order). A sum of 1.15/256 leaves 7.8 bits a byte; chance gives 2 KiB 1.12/256.
  private static func isEven(_ bytes: UnsafeRawBufferPointer) -> Bool {
    withUnsafeTemporaryAllocation(of: Int.self, capacity: 256) { counts in
      counts.initialize(repeating: 0)
      for byte in bytes { counts[Int(byte)] += 1 }
      let squares = counts.reduce(0) { $0 + $1 * $1 }
      return squares * 256 * 100 < bytes.count * bytes.count * 115
    }
  }

  /// At how many places stand three bytes, deflate's shortest match, that stood before, as far as a table of the latest
  /// places tells.
  private static func repetitions(_ bytes: UnsafeRawBufferPointer) -> Int {
    let bits = 15
    func three(_ place: Int) -> UInt32 { bytes.loadUnaligned(fromByteOffset: place, as: UInt32.self) & 0xFF_FFFF }
    return withUnsafeTemporaryAllocation(of: Int32.self, capacity: 1 << bits) { latest in
      latest.initialize(repeating: 0)
      var count = 0
      for place in 1..<(bytes.count - 3) {
        let here = three(place)
        // Knuth's multiplicative hashing.
        let slot = Int((here &* 2_654_435_761) >> (32 - bits))
        if three(Int(latest[slot])) == here { count += 1 }
        latest[slot] = Int32(truncatingIfNeeded: place)
      }
      return count
    }
  }
}
