import Hummingbird

extension Parameters {
  /// The rest of the path behind a route's `**`, percent-decoded segment by segment. What does not decode to UTF-8
  /// stays as it was sent, and names nothing.
  var path: String { getCatchAll().map(PercentDecoding.decode).joined(separator: "/") }
}

enum PercentDecoding {
  /// Decodes `%XX` (RFC 3986 §2.1); the text itself when that is not UTF-8 or not an escape.
  static func decode(_ text: Substring) -> String {
    guard text.utf8.contains(UInt8(ascii: "%")) else { return String(text) }
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else {
        return String(text)
      }
      bytes.append(high << 4 | low)
    }
    return String(validating: bytes, as: UTF8.self) ?? String(text)
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 48...57: byte - 48
    case 65...70: byte - 55
    case 97...102: byte - 87
    default: nil
    }
  }
}
