public import WebSocket

/// Why a connection could not be opened.
public enum WebSocketClientError: Error, Sendable, CustomStringConvertible {
  /// The URL cannot be used; with what is wrong.
  case invalidURL(String)
  /// A header, a subprotocol or the host cannot be sent.
  case invalidRequest(HandshakeFailure)
  /// TCP or TLS failed; with the system's words.
  case unreachable(String)
  /// No open connection within `connectTimeout`.
  case timedOut
  /// The server gave an ordinary answer, such as 401 with a problem document. At most 64 KiB of the body are kept.
  case refused(status: Int, headers: [(String, String)], body: [UInt8])
  /// The server answered 101 but not as the handshake demands, or not with HTTP.
  case invalidResponse(String)

  public var description: String {
    switch self {
    case .invalidURL(let reason): "invalid URL: \(reason)"
    case .invalidRequest(let failure): "the request cannot be sent: \(failure)"
    case .unreachable(let reason): "cannot connect: \(reason)"
    case .timedOut: "no connection in time"
    case .refused(let status, _, _): "the server answered \(status)"
    case .invalidResponse(let reason): "not a WebSocket answer: \(reason)"
    }
  }
}
