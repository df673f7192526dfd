/// `name` or `name=value` in `Sec-WebSocket-Extensions`.
struct ExtensionParameter: Hashable, Sendable {
  var name: String
  var value: String?
}

/// One element of `Sec-WebSocket-Extensions` (RFC 6455 §9.1).
struct ExtensionElement: Hashable, Sendable {
  var name: String
  var parameters: [ExtensionParameter]

  /// The elements of all lines of the header; nil when one does not follow the grammar.
  static func parse(_ lines: [String]) -> [ExtensionElement]? {
    var elements: [ExtensionElement] = []
    for line in lines {
      var scanner = HeaderScanner(line)
      guard let more = scanner.extensionList() else { return nil }
      elements += more
    }
    return elements
  }
}

/// A cursor over a header value for the grammar of RFC 9110 §5.6.
struct HeaderScanner {
  private let bytes: [UInt8]
  private var index = 0

  init(_ text: String) { bytes = Array(text.utf8) }

  /// `extension-list`: at least one element; empty members between commas are ignored, as lists allow.
  mutating func extensionList() -> [ExtensionElement]? {
    var elements: [ExtensionElement] = []
    while true {
      skipBlanks()
      if index == bytes.count { return elements.isEmpty ? nil : elements }
      if take(",") { continue }
      guard let name = token() else { return nil }
      var element = ExtensionElement(name: name, parameters: [])
      skipBlanks()
      while take(";") {
        guard let parameter = parameter() else { return nil }
        element.parameters.append(parameter)
        skipBlanks()
      }
      elements.append(element)
      guard index == bytes.count || take(",") else { return nil }
    }
  }

  private mutating func parameter() -> ExtensionParameter? {
    skipBlanks()
    guard let name = token() else { return nil }
    skipBlanks()
    guard take("=") else { return ExtensionParameter(name: name, value: nil) }
    skipBlanks()
    // §9.1: what stands in quotes must be a token too once it is unquoted.
    guard let value = token() ?? quotedString(), value.isToken else { return nil }
    return ExtensionParameter(name: name, value: value)
  }

  private mutating func token() -> String? {
    let start = index
    while index < bytes.count, bytes[index].isTokenCharacter { index += 1 }
    return index > start ? String(decoding: bytes[start..<index], as: UTF8.self) : nil
  }

  private mutating func quotedString() -> String? {
    guard take("\"") else { return nil }
    var content: [UInt8] = []
    while index < bytes.count {
      if take("\"") { return String(decoding: content, as: UTF8.self) }
      if take("\\"), index == bytes.count { return nil }
      content.append(bytes[index])
      index += 1
    }
    return nil
  }

  private mutating func skipBlanks() {
    while index < bytes.count, bytes[index] == 0x20 || bytes[index] == 0x09 { index += 1 }
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard index < bytes.count, bytes[index] == UInt8(ascii: character) else { return false }
    index += 1
    return true
  }
}

extension UInt8 {
  /// `tchar` of RFC 9110 §5.6.2.
  var isTokenCharacter: Bool {
    switch self {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"),
      UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."),
      UInt8(ascii: "^"), UInt8(ascii: "_"), UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "~"):
      true
    default: false
    }
  }
}

extension String {
  var isToken: Bool { !isEmpty && utf8.allSatisfy(\.isTokenCharacter) }

  /// Lower case for A–Z only, as HTTP compares names.
  var asciiLowercased: String {
    guard utf8.contains(where: { $0 >= UInt8(ascii: "A") && $0 <= UInt8(ascii: "Z") }) else { return self }
    return String(
      decoding: utf8.map { $0 >= UInt8(ascii: "A") && $0 <= UInt8(ascii: "Z") ? $0 | 0x20 : $0 }, as: UTF8.self)
  }

  /// Without spaces and tabs at both ends.
  var trimmedOfBlanks: String {
    let isBlank: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 }
    guard let first = utf8.firstIndex(where: { !isBlank($0) }), let last = utf8.lastIndex(where: { !isBlank($0) })
    else {
      return ""
    }
    return String(self[first...last])
  }
}
