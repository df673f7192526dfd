/// Why a text is not the JSON we take.
public struct JSONSyntaxError: Error, Hashable, Sendable, CustomStringConvertible {
  public let message: String
  /// Where, in bytes from the start.
  public let offset: Int

  public var description: String { "\(message) at byte \(offset)" }
}

/// Strict RFC 8259: one value, valid UTF-8, no repeated member names, depth at most ``maximumDepth``.
public struct JSONParser {
  /// How many arrays and objects may stand inside one another. Deeper nesting is refused: the parser recurses, and
  /// nobody writes it by hand.
  public static let maximumDepth = 64

  private let bytes: UnsafeBufferPointer<UInt8>
  private var index = 0

  private init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  /// Parses one value. Throws ``JSONSyntaxError``.
  public static func parse(_ bytes: some Sequence<UInt8>) throws(JSONSyntaxError) -> JSONValue {
    if let result = bytes.withContiguousStorageIfAvailable({ parseResult($0) }) { return try result.get() }
    return try Array(bytes).withUnsafeBufferPointer { parseResult($0) }.get()
  }

  /// Parses one value. Throws ``JSONSyntaxError``.
  public static func parse(_ text: String) throws(JSONSyntaxError) -> JSONValue { try parse(text.utf8) }

  private static func parseResult(_ buffer: UnsafeBufferPointer<UInt8>) -> Result<JSONValue, JSONSyntaxError> {
    Result { () throws(JSONSyntaxError) in
      var parser = JSONParser(buffer)
      let value = try parser.value(depth: 0)
      parser.skipSpace()
      guard parser.index == buffer.count else { throw parser.error("unexpected text after the value") }
      return value
    }
  }

  private func error(_ message: String) -> JSONSyntaxError { JSONSyntaxError(message: message, offset: index) }

  private var current: UInt8? { index < bytes.count ? bytes[index] : nil }

  private mutating func skipSpace() {
    while index < bytes.count, bytes[index] == 32 || bytes[index] == 10 || bytes[index] == 13 || bytes[index] == 9 {
      index += 1
    }
  }

  private mutating func value(depth: Int) throws(JSONSyntaxError) -> JSONValue {
    skipSpace()
    switch current {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try literal("true", .bool(true))
    case UInt8(ascii: "f"): return try literal("false", .bool(false))
    case UInt8(ascii: "n"): return try literal("null", .null)
    case nil: throw error("unexpected end")
    default: return try number()
    }
  }

  private mutating func literal(_ word: StaticString, _ value: JSONValue) throws(JSONSyntaxError) -> JSONValue {
    let length = word.utf8CodeUnitCount
    guard index + length <= bytes.count, (0..<length).allSatisfy({ bytes[index + $0] == word.utf8Start[$0] }) else {
      throw error("unknown word")
    }
    index += length
    return value
  }

  /// Steps over the bracket that opens an array or object with `depth` others around it.
  private mutating func open(depth: Int) throws(JSONSyntaxError) {
    guard depth < Self.maximumDepth else { throw error("nested more than \(Self.maximumDepth) deep") }
    index += 1
  }

  private mutating func array(depth: Int) throws(JSONSyntaxError) -> JSONValue {
    try open(depth: depth)
    var elements: [JSONValue] = []
    skipSpace()
    if current == UInt8(ascii: "]") {
      index += 1
      return .array([])
    }
    while true {
      elements.append(try value(depth: depth + 1))
      skipSpace()
      switch current {
      case UInt8(ascii: ","): index += 1
      case UInt8(ascii: "]"):
        index += 1
        return .array(elements)
      default: throw error("expected , or ]")
      }
    }
  }

  private mutating func object(depth: Int) throws(JSONSyntaxError) -> JSONValue {
    try open(depth: depth)
    var members: [JSONObject.Member] = []
    // Bytes, not strings: names that only look alike are different names (RFC 8259 §8.3).
    var names: Set<[UInt8]> = []
    skipSpace()
    if current == UInt8(ascii: "}") {
      index += 1
      return .object(JSONObject())
    }
    while true {
      skipSpace()
      guard current == UInt8(ascii: "\"") else { throw error("expected a member name") }
      let name = try string()
      let isRepeated = members.count < 8 ? members.contains { $0.has(name) } : names.contains(Array(name.utf8))
      guard !isRepeated else { throw error("member \"\(name)\" stands twice") }
      skipSpace()
      guard current == UInt8(ascii: ":") else { throw error("expected :") }
      index += 1
      members.append(JSONObject.Member(name: name, value: try value(depth: depth + 1)))
      if members.count == 8 {
        names = Set(members.map { Array($0.name.utf8) })
      } else if members.count > 8 {
        names.insert(Array(name.utf8))
      }
      skipSpace()
      switch current {
      case UInt8(ascii: ","): index += 1
      case UInt8(ascii: "}"):
        index += 1
        return .object(JSONObject(distinct: members))
      default: throw error("expected , or }")
      }
    }
  }

  private mutating func number() throws(JSONSyntaxError) -> JSONValue {
    let start = index
    if current == UInt8(ascii: "-") { index += 1 }
    guard let first = current, isDigit(first) else {
      index = start
      throw error("unexpected character")
    }
    index += 1
    if first != UInt8(ascii: "0") { skipDigits() }
    var isInteger = true
    if current == UInt8(ascii: ".") {
      isInteger = false
      index += 1
      try requireDigits()
    }
    if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
      isInteger = false
      index += 1
      if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { index += 1 }
      try requireDigits()
    }
    let text = String(decoding: bytes[start..<index], as: UTF8.self)
    if isInteger, let value = Int64(text), text != "-0" { return .integer(value) }
    return .decimal(text)
  }

  private func isDigit(_ byte: UInt8) -> Bool { byte >= 48 && byte <= 57 }

  private mutating func skipDigits() {
    while let byte = current, isDigit(byte) { index += 1 }
  }

  private mutating func requireDigits() throws(JSONSyntaxError) {
    guard let byte = current, isDigit(byte) else { throw error("expected a digit") }
    skipDigits()
  }

  private mutating func string() throws(JSONSyntaxError) -> String {
    index += 1
    let start = index
    while index < bytes.count, bytes[index] != UInt8(ascii: "\""), bytes[index] != UInt8(ascii: "\\"),
      bytes[index] >= 32
    { index += 1 }
    if current == UInt8(ascii: "\"") {
      defer { index += 1 }
      return try text(bytes[start..<index])
    }
    var buffer = Array(bytes[start..<index])
    while let byte = current {
      switch byte {
      case UInt8(ascii: "\""):
        index += 1
        return try text(buffer)
      case UInt8(ascii: "\\"):
        index += 1
        try escape(into: &buffer)
      case 0..<32: throw error("control character in a string")
      default:
        buffer.append(byte)
        index += 1
      }
    }
    throw error("string without an end")
  }

  private func text(_ buffer: some Sequence<UInt8>) throws(JSONSyntaxError) -> String {
    guard let text = String(validating: buffer, as: UTF8.self) else { throw error("string is not UTF-8") }
    return text
  }

  private mutating func escape(into buffer: inout [UInt8]) throws(JSONSyntaxError) {
    guard let byte = current else { throw error("string without an end") }
    index += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): buffer.append(byte)
    case UInt8(ascii: "b"): buffer.append(8)
    case UInt8(ascii: "f"): buffer.append(12)
    case UInt8(ascii: "n"): buffer.append(10)
    case UInt8(ascii: "r"): buffer.append(13)
    case UInt8(ascii: "t"): buffer.append(9)
    case UInt8(ascii: "u"): buffer.append(contentsOf: Character(try unicodeScalar()).utf8)
    default: throw error("unknown escape")
    }
  }

  private mutating func unicodeScalar() throws(JSONSyntaxError) -> Unicode.Scalar {
    let first = try hexUnit()
    if let scalar = Unicode.Scalar(UInt32(first)) { return scalar }
    guard UTF16.isLeadSurrogate(first), current == UInt8(ascii: "\\") else { throw error("half a surrogate pair") }
    index += 1
    guard current == UInt8(ascii: "u") else { throw error("half a surrogate pair") }
    index += 1
    let second = try hexUnit()
    guard UTF16.isTrailSurrogate(second) else { throw error("half a surrogate pair") }
    return UTF16.decode(UTF16.EncodedScalar([first, second]))
  }

  private mutating func hexUnit() throws(JSONSyntaxError) -> UInt16 {
    var value: UInt16 = 0
    for _ in 0..<4 {
      guard let byte = current, let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 128 else {
        throw error("expected four hex digits")
      }
      value = value << 4 | UInt16(digit)
      index += 1
    }
    return value
  }
}
