/// The address of a coordinator: `http://host:port`, or `https://host/prefix` behind a proxy.
public struct CoordinatorURL: Hashable, Sendable, CustomStringConvertible {
  public let isSecure: Bool
  /// A name or an address; IPv6 without its brackets.
  public let host: String
  public let port: Int
  /// What stands before `/v1`, without a slash at the end; mostly empty.
  public let prefix: String

  /// `http://localhost:8000`.
  public static let localDefault = CoordinatorURL(isSecure: false, host: "localhost", port: 8000, prefix: "")

  private init(isSecure: Bool, host: String, port: Int, prefix: String) {
    self.isSecure = isSecure
    self.host = host
    self.port = port
    self.prefix = prefix
  }

  /// Takes `http` and `https` with an optional port and path; a slash or `/v1` at the end is dropped. Credentials,
  /// queries and fragments are refused: keys never stand in a URL.
  public init(_ text: String) throws(ClientError) {
    func refuse(_ why: String) -> ClientError { .invalid("url", why + ": give it as http://host:port") }
    guard let colon = text.range(of: "://") else { throw refuse("is no URL") }
    let scheme = text[..<colon.lowerBound].lowercased()
    guard scheme == "http" || scheme == "https" else { throw refuse("has a scheme other than http and https") }
    let rest = text[colon.upperBound...]
    guard !rest.contains("@") else { throw refuse("holds credentials") }
    guard !rest.contains("?"), !rest.contains("#") else { throw refuse("has a query or fragment") }
    guard rest.utf8.allSatisfy({ $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "\\") }) else {
      throw refuse("holds characters that are not allowed in a URL")
    }
    let slash = rest.firstIndex(of: "/") ?? rest.endIndex
    let (host, portText) = try Self.split(rest[..<slash], refuse)
    let fallback = scheme == "https" ? 443 : 80
    let port = portText.isEmpty ? fallback : Int(portText) ?? 0
    guard (1...65_535).contains(port) else { throw refuse("has a port that is none") }
    var prefix = String(rest[slash...])
    while prefix.hasSuffix("/") { prefix.removeLast() }
    if prefix.hasSuffix("/v1") { prefix.removeLast(3) }
    self.init(isSecure: scheme == "https", host: host, port: port, prefix: prefix)
  }

  private static func split(
    _ authority: Substring, _ refuse: (String) -> ClientError
  ) throws(ClientError) -> (host: String, port: Substring) {
    var host = authority
    var port: Substring = ""
    if authority.hasPrefix("[") {
      guard let end = authority.firstIndex(of: "]") else { throw refuse("has a [ without a ]") }
      host = authority[authority.index(after: authority.startIndex)..<end]
      let tail = authority[authority.index(after: end)...]
      guard tail.isEmpty || tail.hasPrefix(":") else { throw refuse("has text after ]") }
      port = tail.dropFirst()
    } else if let colon = authority.firstIndex(of: ":") {
      host = authority[..<colon]
      port = authority[authority.index(after: colon)...]
      guard !port.isEmpty else { throw refuse("has no port after the colon") }
    }
    guard !host.isEmpty else { throw refuse("names no host") }
    guard port.utf8.allSatisfy({ (48...57).contains($0) }) else { throw refuse("has a port that is none") }
    return (String(host), port)
  }

  /// `host:port`, with brackets where needed; what `Host` says.
  public var authority: String {
    let name = host.contains(":") ? "[\(host)]" : host
    return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
  }

  public var description: String { (isSecure ? "https://" : "http://") + authority + prefix }
}

extension String {
  /// The first place of `needle`; the standard library alone has none that takes text.
  fileprivate func range(of needle: String) -> Range<String.Index>? {
    var start = startIndex
    while start < endIndex {
      if self[start...].hasPrefix(needle) { return start..<index(start, offsetBy: needle.count) }
      start = index(after: start)
    }
    return nil
  }
}
