import JSON

/// JSON values as YAML 1.2 that YAML 1.1 readers understand alike: block style, strings quoted wherever a reader could
/// take them for something else.
enum YAMLWriter {
  static func text(_ value: JSONValue) -> String {
    var lines: [String] = []
    append(value, indentation: 0, prefix: "", to: &lines)
    return lines.joined(separator: "\n") + "\n"
  }

  private static func append(_ value: JSONValue, indentation: Int, prefix: String, to lines: inout [String]) {
    let space = String(repeating: " ", count: indentation)
    switch value {
    case .object(let object) where !object.isEmpty:
      for (index, member) in object.members.enumerated() {
        let lead = index == 0 ? prefix : space
        append(member.value, after: lead + scalar(member.name) + ":", indentation: indentation, to: &lines)
      }
    case .array(let elements) where !elements.isEmpty:
      for (index, element) in elements.enumerated() {
        let lead = (index == 0 ? prefix : space) + "- "
        append(element, indentation: indentation + 2, prefix: lead, to: &lines)
      }
    default: lines.append(prefix + inline(value))
    }
  }

  /// A member's value: on the same line when it is simple, below when it has parts.
  private static func append(_ value: JSONValue, after lead: String, indentation: Int, to lines: inout [String]) {
    switch value {
    case .object(let object) where !object.isEmpty: break
    case .array(let elements) where !elements.isEmpty: break
    default: return lines.append(lead + " " + inline(value))
    }
    lines.append(lead)
    let deeper = indentation + 2
    append(value, indentation: deeper, prefix: String(repeating: " ", count: deeper), to: &lines)
  }

  private static func inline(_ value: JSONValue) -> String {
    switch value {
    case .null: "null"
    case .bool(let flag): flag ? "true" : "false"
    case .integer(let number): String(number)
    case .decimal(let text): text
    case .string(let text): scalar(text)
    case .array: "[]"
    case .object: "{}"
    }
  }

  /// Plain when that is safe in every schema; else double-quoted, whose escapes JSON shares.
  static func scalar(_ text: String) -> String { isPlain(text) ? text : quoted(text) }

  private static func quoted(_ text: String) -> String {
    var result = ""
    // JSON leaves these as they are; YAML 1.1 takes them for line ends or forbids them.
    for scalar in JSONValue.string(text).text.unicodeScalars {
      switch scalar.value {
      case 0x7F...0x9F, 0x2028, 0x2029, 0xFEFF:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  private static let words: Set<String> = ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf"]

  private static func isPlain(_ text: String) -> Bool {
    guard let first = text.utf8.first, isLetter(first), !words.contains(text.lowercased()) else { return false }
    return text.utf8.allSatisfy { byte in
      isLetter(byte) || (48...57).contains(byte) || "_-./+@".utf8.contains(byte)
    }
  }

  private static func isLetter(_ byte: UInt8) -> Bool { (65...90).contains(byte) || (97...122).contains(byte) }
}
