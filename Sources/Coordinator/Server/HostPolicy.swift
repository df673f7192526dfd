import WebSocket

/// Which names a browser may reach us by. A page of a foreign name that its owner points at our address (DNS
/// rebinding) sends that name as `Host`; addresses and our own names can't be forged so.
struct HostPolicy: Hashable, Sendable {
  /// We listen on a loopback address only: then other addresses are foreign too.
  let isLoopback: Bool
  /// Our own names, lower case, without port.
  let names: Set<String>

  init(_ configuration: CoordinatorConfiguration) {
    isLoopback = Self.isLoopback(configuration.host) || configuration.host == "localhost"
    var names: Set<String> = ["localhost", configuration.host.lowercased()]
    names.formUnion(configuration.allowedHosts.map { Self.name(of: $0) })
    if let url = configuration.publicURL { names.insert(Self.name(of: Self.authority(of: url))) }
    self.names = names
  }

  /// Whether a `Host` header (name or address, with or without port) is ours. A missing one is not.
  func allows(_ host: String?) -> Bool {
    guard let host, let name = HostField(host)?.name else { return false }
    if names.contains(name) { return true }
    return Self.isAddress(name) && (!isLoopback || Self.isLoopback(name))
  }

  /// The origins besides our own that pages may have.
  static func origins(_ configuration: CoordinatorConfiguration) -> OriginPolicy {
    var origins = configuration.allowedHosts.flatMap { ["http://" + $0, "https://" + $0] }
    if let url = configuration.publicURL { origins.append(url.hasSuffix("/") ? String(url.dropLast()) : url) }
    return .sameHost(also: origins)
  }

  private static func authority(of url: String) -> String {
    let rest = url.split(separator: "/", omittingEmptySubsequences: true)
    return rest.count > 1 ? String(rest[1]) : url
  }

  /// Without the port and the brackets of an IPv6 address.
  static func name(of host: String) -> String {
    let host = host.lowercased()
    if host.hasPrefix("["), let end = host.firstIndex(of: "]") {
      return String(host[host.index(after: host.startIndex)..<end])
    }
    guard host.filter({ $0 == ":" }).count == 1, let colon = host.firstIndex(of: ":") else { return host }
    return String(host[..<colon])
  }

  private static func isLoopback(_ name: String) -> Bool {
    name == "::1" || (isAddress(name) && name.hasPrefix("127."))
  }

  private static func isAddress(_ name: String) -> Bool {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    if parts.count == 4, parts.allSatisfy({ UInt8($0) != nil && $0.utf8.first != UInt8(ascii: "+") }) { return true }
    return name.contains(":") && name.allSatisfy { $0.isHexDigit || $0 == ":" || $0 == "." }
  }
}
