public import WebSocket

/// Why the server closes a live feed, and what the client has to do then. `docs/protocol.md` shows the same table, and a
/// test compares the two.
///
/// Private codes tell the duty by their range: 3000–3499 and 4000–4499 reconnect, 3500–3999 and 4500–4999 do not.
public enum FeedCloseCode: UInt16, CaseIterable, Hashable, Sendable {
  /// The job has ended and all that was asked for was sent.
  case ended = 1000
  /// A binary message: the feed is text only.
  case unsupportedData = 1003
  /// A message over the size limit.
  case messageTooBig = 1009
  /// The coordinator is stopping. The reason is `reconnect_after_ms=N`.
  case restart = 1012
  /// The reader did not keep up.
  case slow = 4008
  /// History could not be read just now.
  case unavailable = 4013
  /// More messages in a second than allowed.
  case tooManyMessages = 4029
  /// The account has too many feeds open.
  case tooManyConnections = 4030
  /// Too many messages that were no command.
  case malformed = 4500
  /// The key of an `auth` message is unknown, or the feed's key was revoked.
  case unauthorized = 4501
  /// No such job, or another account's.
  case jobNotFound = 4504

  public enum Duty: String, Hashable, Sendable {
    /// Reconnect after a back-off with full jitter and resume from the last `seq`.
    case reconnect
    /// Trying again without a change will end the same way.
    case stop = "do not reconnect"
  }

  public var duty: Duty {
    switch self {
    case .restart, .slow, .unavailable, .tooManyMessages, .tooManyConnections: .reconnect
    case .ended, .unsupportedData, .messageTooBig, .malformed, .unauthorized, .jobNotFound: .stop
    }
  }

  public var code: CloseCode { CloseCode(rawValue) }
}
