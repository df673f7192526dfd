/// One PEM block (RFC 7468), strict: one label, nothing but white space around it.
enum PEM {
  static func encode(_ der: [UInt8], label: String) -> String {
    var text = "-----BEGIN \(label)-----\n"
    var rest = Substring(Base64.encode(der))
    while !rest.isEmpty {
      text += rest.prefix(64) + "\n"
      rest = rest.dropFirst(64)
    }
    return text + "-----END \(label)-----\n"
  }

  static func decode(_ text: String, label: String) throws(CryptographyError) -> [UInt8] {
    let lines = text.split(whereSeparator: \.isNewline).map(trimmed).filter { !$0.isEmpty }
    guard lines.count >= 3, lines.first == "-----BEGIN \(label)-----", lines.last == "-----END \(label)-----" else {
      throw .invalidKey(reason: "no PEM block \(label)")
    }
    guard let der = Base64.decode(lines.dropFirst().dropLast().joined()) else {
      throw .invalidKey(reason: "the PEM block is not Base64")
    }
    return der
  }

  private static func trimmed(_ line: Substring) -> Substring {
    let head = line.drop(while: \.isWhitespace)
    return head.lastIndex { !$0.isWhitespace }.map { head[...$0] } ?? ""
  }
}
