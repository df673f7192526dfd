/// Bytes from which deflate can save nothing worth the time: all about equally frequent, and nothing repeated. A trial
/// takes twenty times as long to find the same.
enum Noise {
  /// Deflate makes new codes about this often: bytes that are even only over a longer stretch can be saved from.
  private static let block = 16 * 1024
  /// What fewer bytes are is left to the trial: chance alone makes them uneven.
  private static let minimum = 4096

  static func isAll(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.count >= minimum else { return false }
    let blocks = max(1, bytes.count / block)
    for index in 0..<blocks {
      let part = bytes[(bytes.count * index / blocks)..<(bytes.count * (index + 1) / blocks)]
      guard isEven(UnsafeRawBufferPointer(rebasing: part)) else { return false }
    }
    return repetitions(bytes) < bytes.count / 64
  }

  /// Whether codes for single bytes can't save a fortieth.
  ///
  /// The logarithm of the sum of the squared frequencies is a lower bound of the entropy (Rényi 1961: entropies fall with
  /// their order). A sum of 1.15/256 leaves 7.8 bits a byte; chance gives 4 KiB 1.06/256.
  private static func isEven(_ bytes: UnsafeRawBufferPointer) -> Bool {
    withUnsafeTemporaryAllocation(of: Int.self, capacity: 256) { counts in
      counts.initialize(repeating: 0)
      for byte in bytes { counts[Int(byte)] += 1 }
      let squares = counts.reduce(0) { $0 + $1 * $1 }
      return squares * 256 * 100 < bytes.count * bytes.count * 115
    }
  }

  /// At how many places stand four bytes that stood before, as far as a table of the latest places tells.
  private static func repetitions(_ bytes: UnsafeRawBufferPointer) -> Int {
    let bits = 15
    return withUnsafeTemporaryAllocation(of: Int32.self, capacity: 1 << bits) { latest in
      latest.initialize(repeating: 0)
      var count = 0
      for place in 1..<(bytes.count - 3) {
        let four = bytes.loadUnaligned(fromByteOffset: place, as: UInt32.self)
        // Knuth's multiplicative hashing.
        let slot = Int((four &* 2_654_435_761) >> (32 - bits))
        if bytes.loadUnaligned(fromByteOffset: Int(latest[slot]), as: UInt32.self) == four { count += 1 }
        latest[slot] = Int32(truncatingIfNeeded: place)
      }
      return count
    }
  }
}
