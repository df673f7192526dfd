import COpenSSL

/// Why a TLS connection is not, or no longer, to be trusted.
public enum TLSFailure: Error, Hashable, Sendable, CustomStringConvertible {
  /// The peer's certificate is not one for this host by a trusted authority; in OpenSSL's words.
  case certificate(String)
  /// The handshake or a record broke a rule of RFC 8446 or RFC 5246; in OpenSSL's words.
  case protocolError(String)
  /// The connection ended during the handshake.
  case closedInHandshake
  /// The connection ended without `close_notify` (RFC 8446 §6.1): what came last may have been cut off.
  case truncated
  /// The local side could not be set up: no memory, or a file of authorities that can't be read.
  case setup(String)

  public var description: String {
    switch self {
    case .certificate(let reason): "the server's certificate is not trusted: \(reason)"
    case .protocolError(let reason): "TLS failed: \(reason)"
    case .closedInHandshake: "the connection was closed during the TLS handshake"
    case .truncated: "the connection was closed before its end was told"
    case .setup(let reason): "TLS could not be set up: \(reason)"
    }
  }

  /// The oldest error of this thread's queue in OpenSSL, which is emptied.
  static func queued() -> String {
    let code = ERR_get_error()
    ERR_clear_error()
    guard code != 0 else { return "unknown error" }
    return ERR_reason_error_string(code).map { String(cString: $0) } ?? "error \(code)"
  }
}
