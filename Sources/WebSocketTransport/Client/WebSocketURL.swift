/// The parts of a `ws:` or `wss:` URL (RFC 6455 §3).
public struct WebSocketURL: Hashable, Sendable {
  public let isSecure: Bool
  /// A name or an address; an IPv6 address without its brackets.
  public let host: String
  /// The scheme's default, 80 or 443, where the URL has none.
  public let port: Int
  /// Path and query, beginning with `/`.
  public let target: String

  /// - Throws: `WebSocketClientError.invalidURL` with what is wrong: another scheme, user information, a fragment, a bad
  ///   port, or characters that must be percent-encoded.
  public init(_ text: String) throws(WebSocketClientError) {
    guard let colon = text.range(of: "://") else { throw .invalidURL("the URL has no scheme") }
    switch text[..<colon.lowerBound].lowercased() {
    case "ws": isSecure = false
    case "wss": isSecure = true
    default: throw .invalidURL("the scheme must be ws or wss")
    }
    let rest = text[colon.upperBound...]
    guard rest.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
      throw .invalidURL("blanks and characters beyond ASCII must be percent-encoded")
    }
    guard !rest.contains("#") else { throw .invalidURL("a fragment is not allowed") }
    let authority = rest.prefix { $0 != "/" && $0 != "?" }
    guard !authority.contains("@") else { throw .invalidURL("user information is not allowed") }
    let path = rest.dropFirst(authority.count)
    target = path.hasPrefix("/") ? String(path) : "/" + path
    (host, port) = try Self.split(authority, defaultPort: isSecure ? 443 : 80)
  }

  /// For the `Host` header.
  var authority: String {
    let name = host.contains(":") ? "[\(host)]" : host
    return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
  }

  private static func split(
    _ authority: Substring, defaultPort: Int
  ) throws(WebSocketClientError) -> (String, Int) {
    var host = authority
    var portText: Substring?
    if authority.hasPrefix("[") {
      guard let end = authority.firstIndex(of: "]") else { throw .invalidURL("the IPv6 address is not closed") }
      host = authority[authority.index(after: authority.startIndex)..<end]
      let after = authority[authority.index(after: end)...]
      guard after.isEmpty || after.hasPrefix(":") else { throw .invalidURL("the host is malformed") }
      portText = after.isEmpty ? nil : after.dropFirst()
    } else if let colon = authority.firstIndex(of: ":") {
      host = authority[..<colon]
      portText = authority[authority.index(after: colon)...]
    }
    guard !host.isEmpty else { throw .invalidURL("the host is missing") }
    guard let portText else { return (String(host), defaultPort) }
    guard portText.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let port = Int(portText), (1...65535).contains(port)
    else { throw .invalidURL("the port must be 1 to 65535") }
    return (String(host), port)
  }
}

extension StringProtocol {
  /// The first occurrence of `text`, compared as characters.
  fileprivate func range(of text: String) -> Range<Index>? {
    var start = startIndex
    while start < endIndex {
      if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
      start = index(after: start)
    }
    return nil
  }
}
