/// Tells by looking at them whether bytes are worth compressing.
final class CompressionProbe {
  /// How much of a file's start is looked at to choose the entry's method.
  static let entrySample = 64 * 1024
  /// How much of each later piece is looked at.
  static let pieceSample = 16 * 1024

  private let deflater: Deflater

  init() throws { deflater = try Deflater(level: 1) }

  /// Whether the fastest compression saves at least one byte in thirty-two.
  func isCompressible(_ bytes: UnsafeRawBufferPointer) throws -> Bool {
    if Self.isUneven(bytes) { return true }
    if Noise.isAll(bytes) { return false }
    let none = UnsafeRawBufferPointer(start: nil, count: 0)
    return try deflater.compress(bytes, after: none, isLast: true).count <= bytes.count - bytes.count / 32
  }

  /// Whether some bytes are so much more frequent than others that codes of different lengths alone save enough: then
  /// the trial is not needed. Text is; what is even may still repeat itself.
  ///
  /// The sum of the squares of the frequencies is 1/256 for even bytes. Four times that takes a byte that stands for
  /// every ninth, which saves half a bit for each byte and more.
  private static func isUneven(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.count >= 4096 else { return false }
    return withUnsafeTemporaryAllocation(of: Int.self, capacity: 256) { counts in
      counts.initialize(repeating: 0)
      for byte in bytes { counts[Int(byte)] += 1 }
      let squares = counts.reduce(0) { $0 + $1 * $1 }
      return squares > bytes.count * bytes.count / 64
    }
  }
}
