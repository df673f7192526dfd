/// Why a server does not upgrade a request: what to answer (RFC 6455 §4.2.2 and §4.4).
public struct HandshakeRejection: Error, Hashable, Sendable, CustomStringConvertible {
  /// 400, 403 or 426.
  public let status: Int
  /// A short code for programs, such as `UPGRADE_REQUIRED`.
  public let code: String
  /// What is wrong, naming the header.
  public let reason: String
  /// Headers that the answer must carry: `Upgrade`, `Connection` and `Sec-WebSocket-Version` with a 426.
  public let fields: [HTTPField]

  public var description: String { "\(status) \(reason)" }

  static func badRequest(_ reason: String) -> HandshakeRejection {
    HandshakeRejection(status: 400, code: "BAD_HANDSHAKE", reason: reason, fields: [])
  }

  static func forbidden(_ reason: String) -> HandshakeRejection {
    HandshakeRejection(status: 403, code: "FORBIDDEN_ORIGIN", reason: reason, fields: [])
  }

  static func upgradeRequired(_ reason: String) -> HandshakeRejection {
    HandshakeRejection(
      status: 426, code: "UPGRADE_REQUIRED", reason: reason,
      fields: [
        HTTPField("Upgrade", "websocket"), HTTPField("Connection", "Upgrade"),
        HTTPField("Sec-WebSocket-Version", "13"),
      ])
  }
}

/// Which web pages may connect (RFC 6455 §10.2). Programs other than browsers send no `Origin` and always may.
public enum OriginPolicy: Hashable, Sendable {
  /// Every page. For services that hold nothing private.
  case any
  /// Pages of the host the request is addressed to (scheme `http` or `https`, same host and port), and these origins,
  /// each as a browser writes it: `https://example.org` or with a port.
  case sameHost(also: [String])

  /// - Parameters:
  ///   - origin: the `Origin` header. `null` (sandboxed pages, local files) never passes but with `any`.
  ///   - host: the `Host` header.
  public func allows(origin: String, host: String) -> Bool {
    guard case .sameHost(let also) = self else { return true }
    let origin = origin.asciiLowercased
    if also.contains(where: { $0.asciiLowercased == origin }) { return true }
    for (scheme, port) in [("http://", ":80"), ("https://", ":443")] where origin.hasPrefix(scheme) {
      let authority = String(origin.dropFirst(scheme.count))
      return Self.withoutPort(port, authority) == Self.withoutPort(port, host.asciiLowercased)
    }
    return false
  }

  private static func withoutPort(_ port: String, _ authority: String) -> String {
    authority.hasSuffix(port) ? String(authority.dropLast(port.count)) : authority
  }
}
