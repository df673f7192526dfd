/// Writes JSON in its canonical form (RFC 8785): keys sorted, no spaces, UTF-8, only the escapes that must be. Only
/// what a manifest needs: its callers write the keys in order.
enum CanonicalJSON {
  /// Appends a string with its quotes.
  static func append(_ text: String, to bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""): bytes.append(contentsOf: #"\""#.utf8)
      case UInt8(ascii: "\\"): bytes.append(contentsOf: #"\\"#.utf8)
      case 0x08: bytes.append(contentsOf: #"\b"#.utf8)
      case 0x09: bytes.append(contentsOf: #"\t"#.utf8)
      case 0x0A: bytes.append(contentsOf: #"\n"#.utf8)
      case 0x0C: bytes.append(contentsOf: #"\f"#.utf8)
      case 0x0D: bytes.append(contentsOf: #"\r"#.utf8)
      case 0..<0x20: bytes.append(contentsOf: ((byte < 0x10 ? #"\u000"# : #"\u00"#) + String(byte, radix: 16)).utf8)
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }

  static func append(_ number: UInt64, to bytes: inout [UInt8]) { bytes.append(contentsOf: String(number).utf8) }
}

/// Reads canonical JSON of a form known beforehand; what is not exactly that form is an error at its byte.
struct CanonicalScanner {
  private let bytes: [UInt8]
  private(set) var offset = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { offset == bytes.count }

  /// Takes `text` if it comes next.
  mutating func take(_ text: StaticString) -> Bool {
    guard bytes.count - offset >= text.utf8CodeUnitCount else { return false }
    for index in 0..<text.utf8CodeUnitCount where bytes[offset + index] != text.utf8Start[index] { return false }
    offset += text.utf8CodeUnitCount
    return true
  }

  mutating func expect(_ text: StaticString) throws(ManifestError) {
    guard take(text) else { throw .notCanonical(offset: offset) }
  }

  /// A string in its canonical spelling.
  mutating func string() throws(ManifestError) -> String {
    let start = offset
    try expect("\"")
    var content: [UInt8] = []
    while offset < bytes.count, bytes[offset] != UInt8(ascii: "\"") {
      content.append(bytes[offset] == UInt8(ascii: "\\") ? try escaped() : bytes[offset])
      offset += 1
    }
    try expect("\"")
    guard let text = String(validating: content, as: UTF8.self) else { throw .notCanonical(offset: start) }
    var spelling: [UInt8] = []
    CanonicalJSON.append(text, to: &spelling)
    guard spelling.elementsEqual(bytes[start..<offset]) else { throw .notCanonical(offset: start) }
    return text
  }

  /// The byte of an escape, leaving `offset` at the escape's last byte. Whether that escape was needed is found by
  /// spelling the string again.
  private mutating func escaped() throws(ManifestError) -> UInt8 {
    let start = offset
    offset += 1
    guard offset < bytes.count else { throw .notCanonical(offset: start) }
    switch bytes[offset] {
    case UInt8(ascii: "\""): return UInt8(ascii: "\"")
    case UInt8(ascii: "\\"): return UInt8(ascii: "\\")
    case UInt8(ascii: "b"): return 0x08
    case UInt8(ascii: "t"): return 0x09
    case UInt8(ascii: "n"): return 0x0A
    case UInt8(ascii: "f"): return 0x0C
    case UInt8(ascii: "r"): return 0x0D
    case UInt8(ascii: "u"):
      guard bytes.count - offset > 4,
        let value = UInt8(String(decoding: bytes[(offset + 1)...(offset + 4)], as: UTF8.self), radix: 16)
      else { throw .notCanonical(offset: start) }
      offset += 4
      return value
    default: throw .notCanonical(offset: start)
    }
  }

  /// A non-negative integer without sign, point, exponent or leading zeros.
  mutating func integer() throws(ManifestError) -> UInt64 {
    let start = offset
    while offset < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[offset]) { offset += 1 }
    let digits = bytes[start..<offset]
    guard let first = digits.first, first != UInt8(ascii: "0") || digits.count == 1,
      let value = UInt64(String(decoding: digits, as: UTF8.self))
    else { throw .notCanonical(offset: start) }
    return value
  }
}
