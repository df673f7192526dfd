import Marketplace

/// A WebSocket connection as a feed needs it. The feed takes one message at a time, so that a slow reader holds back
/// the socket and not memory.
public protocol FeedConnection: Sendable {
  /// Sends one text message.
  func send(_ text: String) async throws
  /// Waits for the next message. Throws `CancellationError` when the task is canceled.
  func receive() async throws -> FeedFrame
  /// Says goodbye; does not wait for the answer.
  func close() async
}

public enum FeedFrame: Hashable, Sendable {
  case text(String)
  /// The end; 1006 when the connection broke without a close frame.
  case closed(code: Int, reason: String)
}

/// Why no connection came about.
public enum FeedConnectionError: Error, Hashable, Sendable {
  /// The coordinator, or something before it, answered the handshake with this error.
  case refused(ClientError)
  /// No answer.
  case unreachable(String)
}

/// Opens a connection; throws ``FeedConnectionError``.
public typealias FeedConnector = @Sendable (_ path: APIPath) async throws -> any FeedConnection

/// What a close code asks of the client.
enum FeedCloseAction: Hashable, Sendable {
  case reconnect
  /// Going on over this socket makes no sense: poll instead.
  case giveUp

  /// 3000-3499 and 4000-4499 ask to come back, others do not; except those that say that the server or the network
  /// went away, which is no judgement on us. The table stands in `docs/protocol.md`.
  init(code: Int) {
    switch code {
    case 1001, 1005, 1006, 1011, 1012, 1013, 1014, 3000...3499, 4000...4499: self = .reconnect
    default: self = .giveUp
    }
  }
}

/// The reason of a 1012, `reconnect_after_ms=N`: a coordinator that restarts gives each of its clients another wait, so
/// that they do not come back together.
enum RestartHint {
  /// A longer wait is not believed. Default 60 s.
  static let longest = Seconds(60)

  /// The wait that was asked for; nil: none.
  static func delay(code: Int, reason: String) -> Seconds? {
    let name = "reconnect_after_ms="
    guard code == 1012, reason.hasPrefix(name) else { return nil }
    let digits = reason.dropFirst(name.count)
    guard digits.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }),
      let milliseconds = Int64(digits)
    else { return nil }
    return min(Seconds(milliseconds: milliseconds), longest)
  }
}
