/// A `Host` header taken apart (RFC 9110 §7.2): a name, an IPv4 address, or an IPv6 address in brackets, and a port.
/// A value that looks like one of our names in front and goes on behind is none.
public struct HostField: Hashable, Sendable {
  /// In lower case, without brackets.
  public let name: String
  /// Nil: no colon. An empty port is allowed.
  public let port: String?

  /// Nil: malformed; the request must be answered with 400.
  public init?(_ text: String) {
    let text = text.asciiLowercased
    var rest = text[...]
    if text.utf8.first == UInt8(ascii: "[") {
      guard let end = text.firstIndex(of: "]") else { return nil }
      name = String(text[text.index(after: text.startIndex)..<end])
      guard name.utf8.contains(UInt8(ascii: ":")), name.utf8.allSatisfy(Self.isAddressCharacter) else { return nil }
      rest = text[text.index(after: end)...]
    } else {
      rest = rest.drop { $0 != ":" }
      name = String(text[..<rest.startIndex])
      guard !name.isEmpty, name.utf8.allSatisfy(Self.isNameCharacter) else { return nil }
    }
    guard let colon = rest.first else {
      port = nil
      return
    }
    let digits = rest.dropFirst()
    guard colon == ":", digits.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) else {
      return nil
    }
    port = String(digits)
  }

  private static func isAddressCharacter(_ octet: UInt8) -> Bool {
    switch octet {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: ":"),
      UInt8(ascii: "."):
      true
    default: false
    }
  }

  /// `reg-name` of RFC 3986; a percent sign is taken for the beginning of an escape.
  private static func isNameCharacter(_ octet: UInt8) -> Bool {
    switch octet {
    case UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: "="): true
    case UInt8(ascii: "^"), UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "#"): false
    default: octet.isTokenCharacter
    }
  }
}
