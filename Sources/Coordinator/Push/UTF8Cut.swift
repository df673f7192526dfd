/// Cuts bytes so that no character is torn apart.
enum UTF8Cut {
  /// Length of the longest prefix that does not end inside a character. Bytes that are no UTF-8 are left alone: only an
  /// incomplete character at the very end, 1 to 3 bytes, is cut off.
  static func length(_ bytes: some RandomAccessCollection<UInt8>) -> Int {
    var rest = bytes[...]
    // The lead byte of the last character is at most three bytes from the end, if it lacks any.
    for following in 0..<3 {
      guard let byte = rest.popLast() else { break }
      if byte & 0xC0 == 0x80 { continue }
      return following + 1 < expected(lead: byte) ? rest.count : bytes.count
    }
    return bytes.count
  }

  /// Bytes of the character that this byte begins; 1 for bytes that begin none.
  private static func expected(lead byte: UInt8) -> Int {
    switch byte {
    case 0xC2...0xDF: 2
    case 0xE0...0xEF: 3
    case 0xF0...0xF4: 4
    default: 1
    }
  }
}
