/// Base64 with padding and the standard alphabet (RFC 4648 §4): HTTP digests, PEM, the WebSocket accept key.
public enum Base64 {
  /// Padded to a multiple of four characters, no line breaks.
  public static func encode(_ bytes: some Sequence<UInt8>) -> String {
    String(decoding: Base64Coder.standard.encode(bytes, padded: true), as: UTF8.self)
  }

  /// Strict: right padding, no white space, unused bits zero; anything else gives nil.
  public static func decode(_ text: some StringProtocol) -> [UInt8]? {
    var characters = Array(text.utf8)
    guard characters.count % 4 == 0 else { return nil }
    for _ in 0..<2 where characters.last == UInt8(ascii: "=") { characters.removeLast() }
    return Base64Coder.standard.decode(characters)
  }
}

/// Base64 without padding and with the alphabet that is safe in URLs and file names (RFC 4648 §5): tokens, key ids,
/// signatures.
public enum Base64URL {
  /// No padding, no line breaks.
  public static func encode(_ bytes: some Sequence<UInt8>) -> String {
    String(decoding: Base64Coder.url.encode(bytes, padded: false), as: UTF8.self)
  }

  /// Strict: no padding, no white space, unused bits zero; anything else gives nil. So each value has one spelling.
  public static func decode(_ text: some StringProtocol) -> [UInt8]? { Base64Coder.url.decode(Array(text.utf8)) }
}

/// One alphabet with its inverse.
private struct Base64Coder: Sendable {
  static let standard = Base64Coder(last: "+/")
  static let url = Base64Coder(last: "-_")

  private let alphabet: [UInt8]
  private let values: [UInt8]
  private static let invalid: UInt8 = 255

  init(last: String) {
    let alphabet = Array(("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" + last).utf8)
    var values = [UInt8](repeating: Self.invalid, count: 256)
    for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
    self.alphabet = alphabet
    self.values = values
  }

  func encode(_ bytes: some Sequence<UInt8>, padded: Bool) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.underestimatedCount + 2) / 3 * 4)
    var bits: UInt32 = 0
    var pending = 0
    for byte in bytes {
      bits = bits << 8 | UInt32(byte)
      pending += 8
      while pending >= 6 {
        pending -= 6
        text.append(alphabet[Int(bits >> UInt32(pending) & 63)])
      }
    }
    if pending > 0 { text.append(alphabet[Int(bits << UInt32(6 - pending) & 63)]) }
    while padded && text.count % 4 != 0 { text.append(UInt8(ascii: "=")) }
    return text
  }

  func decode(_ characters: [UInt8]) -> [UInt8]? {
    guard characters.count % 4 != 1 else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(characters.count / 4 * 3 + 2)
    var bits: UInt32 = 0
    var pending = 0
    for character in characters {
      let value = values[Int(character)]
      guard value != Self.invalid else { return nil }
      bits = bits << 6 | UInt32(value)
      pending += 6
      if pending >= 8 {
        pending -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(pending)))
      }
    }
    return bits & (1 << UInt32(pending) - 1) == 0 ? bytes : nil
  }
}
