extension JSONValue {
  /// Compact UTF-8: no spaces, members in their order.
  public var encoded: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(256)
    JSONWriter.append(self, to: &bytes)
    return bytes
  }

  /// ``encoded`` as text.
  public var text: String { String(decoding: encoded, as: UTF8.self) }

  /// Canonical form for hashing and signing: members sorted by name (bytewise), no spaces, only the escapes that
  /// RFC 8259 demands. Numbers stand as they were written.
  public var canonical: [UInt8] {
    var bytes: [UInt8] = []
    JSONWriter.append(sorted, to: &bytes)
    return bytes
  }

  /// Two-space indentation, for people.
  public var pretty: String {
    var bytes: [UInt8] = []
    JSONWriter.appendPretty(self, indentation: 0, to: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }

  private var sorted: JSONValue {
    switch self {
    case .array(let elements): .array(elements.map(\.sorted))
    case .object(let object):
      .object(
        JSONObject(
          distinct: object.members.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
            .map { JSONObject.Member(name: $0.name, value: $0.value.sorted) }))
    default: self
    }
  }
}

/// Writes JSON straight into bytes; for hot paths that know their members.
public enum JSONWriter {
  public static func append(_ value: JSONValue, to bytes: inout [UInt8]) {
    switch value {
    case .null: bytes.append(contentsOf: "null".utf8)
    case .bool(let flag): bytes.append(contentsOf: flag ? "true".utf8 : "false".utf8)
    case .integer(let number): bytes.append(contentsOf: String(number).utf8)
    case .decimal(let text): bytes.append(contentsOf: text.utf8)
    case .string(let text): append(string: text, to: &bytes)
    case .array(let elements):
      bytes.append(UInt8(ascii: "["))
      for (index, element) in elements.enumerated() {
        if index > 0 { bytes.append(UInt8(ascii: ",")) }
        append(element, to: &bytes)
      }
      bytes.append(UInt8(ascii: "]"))
    case .object(let object):
      bytes.append(UInt8(ascii: "{"))
      for (index, member) in object.members.enumerated() {
        if index > 0 { bytes.append(UInt8(ascii: ",")) }
        append(string: member.name, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        append(member.value, to: &bytes)
      }
      bytes.append(UInt8(ascii: "}"))
    }
  }

  /// A quoted string with the escapes that RFC 8259 §7 demands.
  public static func append(string text: String, to bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\""))
    var text = text
    text.withUTF8 { buffer in
      var start = 0
      for (index, byte) in buffer.enumerated() where byte < 32 || byte == 34 || byte == 92 {
        bytes.append(contentsOf: buffer[start..<index])
        append(escaped: byte, to: &bytes)
        start = index + 1
      }
      bytes.append(contentsOf: buffer[start...])
    }
    bytes.append(UInt8(ascii: "\""))
  }

  private static func append(escaped byte: UInt8, to bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\\"))
    switch byte {
    case 34, 92: bytes.append(byte)
    case 8: bytes.append(UInt8(ascii: "b"))
    case 9: bytes.append(UInt8(ascii: "t"))
    case 10: bytes.append(UInt8(ascii: "n"))
    case 12: bytes.append(UInt8(ascii: "f"))
    case 13: bytes.append(UInt8(ascii: "r"))
    default:
      let digits = Array("0123456789abcdef".utf8)
      bytes.append(contentsOf: "u00".utf8)
      bytes.append(digits[Int(byte >> 4)])
      bytes.append(digits[Int(byte & 15)])
    }
  }

  /// ``JSONValue/pretty`` of a value that stands `indentation` levels deep; its first line is not indented.
  public static func appendPretty(_ value: JSONValue, indentation: Int, to bytes: inout [UInt8]) {
    func newline(_ depth: Int) {
      bytes.append(10)
      bytes.append(contentsOf: repeatElement(32, count: depth * 2))
    }
    switch value {
    case .array(let elements) where !elements.isEmpty:
      bytes.append(UInt8(ascii: "["))
      for (index, element) in elements.enumerated() {
        if index > 0 { bytes.append(UInt8(ascii: ",")) }
        newline(indentation + 1)
        appendPretty(element, indentation: indentation + 1, to: &bytes)
      }
      newline(indentation)
      bytes.append(UInt8(ascii: "]"))
    case .object(let object) where !object.isEmpty:
      bytes.append(UInt8(ascii: "{"))
      for (index, member) in object.members.enumerated() {
        if index > 0 { bytes.append(UInt8(ascii: ",")) }
        newline(indentation + 1)
        append(string: member.name, to: &bytes)
        bytes.append(contentsOf: ": ".utf8)
        appendPretty(member.value, indentation: indentation + 1, to: &bytes)
      }
      newline(indentation)
      bytes.append(UInt8(ascii: "}"))
    default: append(value, to: &bytes)
    }
  }
}
