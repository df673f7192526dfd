public import NIOCore

/// What a program does with one connection. All calls come on the connection's event loop, in the order below:
/// `connected` once, then any of the others, then `closed` once and nothing after it. They must not block.
public protocol WebSocketSession: AnyObject {
  /// The handshake is done; sending is allowed from here on, also inside this call.
  func connected(_ connection: WebSocketConnection)

  /// A whole text message; the bytes are valid UTF-8.
  func received(text: ByteBuffer)

  /// A whole binary message.
  func received(binary: ByteBuffer)

  /// False: more than the high watermark waits to be sent, so hold back; true: it has fallen to the low watermark.
  func writabilityChanged(_ isWritable: Bool)

  /// The server is stopping. A session that wants to say more than 1001 closes its connection here; one that does
  /// nothing is closed with 1001 after the call.
  func quiescing()

  /// The connection is over, whoever ended it and however. Always the last call, exactly once.
  func closed(_ reason: WebSocketCloseReason)
}

extension WebSocketSession {
  public func connected(_ connection: WebSocketConnection) {}
  public func received(text: ByteBuffer) {}
  public func received(binary: ByteBuffer) {}
  public func writabilityChanged(_ isWritable: Bool) {}
  public func quiescing() {}
  public func closed(_ reason: WebSocketCloseReason) {}
}
