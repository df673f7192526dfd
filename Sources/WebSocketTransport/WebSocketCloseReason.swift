public import WebSocket

/// How a connection ended.
public struct WebSocketCloseReason: Sendable, Hashable, CustomStringConvertible {
  /// Who or what ended it.
  public enum Cause: Sendable, Hashable {
    /// The peer sent a close frame first; `code` and `reason` are the peer's.
    case peer
    /// This end sent a close frame first and the peer answered; `code` and `reason` are ours.
    case local
    /// This end sent a close frame and the peer did not answer within `closeTimeout`.
    case closeTimeout
    /// The peer broke the protocol or a limit; `code` and `reason` are what it was told.
    case protocolFailure
    /// A ping was not answered within the pong time-out, and nothing else arrives.
    case keepaliveTimeout
    /// More than `maximumBufferedBytes` waited to be sent.
    case outboundLimit
    /// TCP ended, or failed, without a close frame.
    case connectionLost
  }

  public let cause: Cause
  /// `noStatus` (1005) when the peer's close frame had none, `abnormal` (1006) when there was no close frame.
  public let code: CloseCode
  public let reason: String

  public init(cause: Cause, code: CloseCode, reason: String = "") {
    self.cause = cause
    self.code = code
    self.reason = reason
  }

  /// Both ends sent a close frame (RFC 6455 §7.1.4).
  public var wasClean: Bool { cause == .peer || cause == .local }

  public var description: String { "\(code) \(reason.isEmpty ? "\(cause)" : reason) (\(cause))" }
}
