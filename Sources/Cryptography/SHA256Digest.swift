/// A SHA-256 digest (FIPS 180-4): 32 bytes, held inline, so that tables of digests cost no allocation each.
///
/// In JSON (`Codable`) it is its 64 lower-case hexadecimal digits.
public struct SHA256Digest: Hashable, Sendable {
  /// The digest's length in bytes.
  public static let byteCount = 32

  /// Four big-endian words: `Hashable` over four integers instead of thirty-two bytes.
  private let words: (UInt64, UInt64, UInt64, UInt64)

  /// Takes exactly 32 bytes; any other count gives nil.
  public init?(bytes: some Sequence<UInt8>) {
    var words: [UInt64] = [0, 0, 0, 0]
    var count = 0
    for byte in bytes {
      guard count < Self.byteCount else { return nil }
      words[count / 8] = words[count / 8] << 8 | UInt64(byte)
      count += 1
    }
    guard count == Self.byteCount else { return nil }
    self.words = (words[0], words[1], words[2], words[3])
  }

  /// Takes 64 hexadecimal digits of either case, and nothing around them.
  public init?(hex: some StringProtocol) {
    guard let bytes = Hex.decode(hex) else { return nil }
    self.init(bytes: bytes)
  }

  init(uncheckedBytes pointer: UnsafeRawPointer) {
    func word(_ index: Int) -> UInt64 {
      UInt64(bigEndian: pointer.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
    }
    words = (word(0), word(1), word(2), word(3))
  }

  /// The 32 bytes.
  public var bytes: [UInt8] {
    [UInt8](unsafeUninitializedCapacity: Self.byteCount) { buffer, count in
      for (index, word) in [words.0, words.1, words.2, words.3].enumerated() {
        for byte in 0..<8 { buffer[index * 8 + byte] = UInt8(truncatingIfNeeded: word >> (56 - 8 * byte)) }
      }
      count = Self.byteCount
    }
  }

  /// 64 lower-case hexadecimal digits, as `sha256sum` prints them.
  public var hex: String { Hex.encode(bytes) }

  /// Standard Base64 with padding, as it stands between colons in `Repr-Digest: sha-256=:…:` (RFC 9530).
  public var base64: String { Base64.encode(bytes) }

  public static func == (left: SHA256Digest, right: SHA256Digest) -> Bool { left.words == right.words }

  public func hash(into hasher: inout Hasher) {
    // A digest's own bits are uniform: two words are plenty, and nobody can choose them at will.
    hasher.combine(words.0)
    hasher.combine(words.1)
  }
}

extension SHA256Digest: CustomStringConvertible {
  public var description: String { hex }
}

extension SHA256Digest: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let digest = SHA256Digest(hex: text) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "expected 64 hexadecimal digits")
    }
    self = digest
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(hex)
  }
}
