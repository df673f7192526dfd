public import NIOCore
import Synchronization
public import WebSocket

/// A handle on an open connection, for any thread. Calls on the connection's event loop take effect at once, others are
/// handed to it; what one thread sends arrives in order. After the connection has closed they do nothing.
public final class WebSocketConnection: Sendable {
  public let eventLoop: any EventLoop
  /// The peer's address; nil where the transport has none.
  public let remoteAddress: SocketAddress?
  /// The subprotocol of the handshake.
  public let subprotocol: String?
  /// What was agreed on for permessage-deflate; nil: nothing is compressed.
  public let compression: DeflateAgreement?

  let bytes = Atomic<Int>(0)
  let writable = Atomic<Bool>(true)
  // Touched on `eventLoop` only; the endpoint clears it when the connection ends, which also breaks the cycle.
  private(set) nonisolated(unsafe) var endpoint: WebSocketEndpoint?

  init(
    eventLoop: any EventLoop, remoteAddress: SocketAddress?, subprotocol: String?, compression: DeflateAgreement?
  ) {
    self.eventLoop = eventLoop
    self.remoteAddress = remoteAddress
    self.subprotocol = subprotocol
    self.compression = compression
  }

  func attach(_ endpoint: WebSocketEndpoint?) {
    eventLoop.preconditionInEventLoop()
    self.endpoint = endpoint
  }

  /// Bytes accepted for sending that the socket has not taken. Exact on the event loop, recent elsewhere.
  public var bufferedBytes: Int { bytes.load(ordering: .relaxed) }

  /// Whether less than the high watermark waits to be sent. Sending is allowed all the same, up to
  /// `maximumBufferedBytes`.
  public var isWritable: Bool { writable.load(ordering: .relaxed) }

  /// Bytes that may be added until it is not writable any more; 0 when it is not, or has closed. On the event loop only.
  public var room: Int {
    eventLoop.preconditionInEventLoop()
    guard let endpoint, isWritable else { return 0 }
    return max(0, endpoint.configuration.highWatermark - bufferedBytes)
  }

  // MARK: Sending

  /// Sends a text message.
  public func send(text: String) {
    onLoop { endpoint in
      var text = text
      text.withUTF8 { endpoint.send(.text, UnsafeRawBufferPointer($0)) }
    }
  }

  /// Sends a text message. The bytes must be valid UTF-8.
  public func send(text: ByteBuffer) {
    onLoop { endpoint in text.withUnsafeReadableBytes { endpoint.send(.text, $0) } }
  }

  /// Sends a binary message.
  public func send(binary: ByteBuffer) {
    onLoop { endpoint in binary.withUnsafeReadableBytes { endpoint.send(.binary, $0) } }
  }

  /// Sends messages that were framed once for many connections. All that is sent within one turn of the event loop
  /// leaves in one write.
  public func send(_ frame: EncodedFrame) { onLoop { $0.send(frame) } }

  /// Sends a ping, besides those that look whether the peer is there.
  /// - Parameter payload: at most 125 bytes; the rest is cut off.
  public func ping(_ payload: [UInt8] = []) { onLoop { $0.ping(payload) } }

  // MARK: Reading

  /// Stops taking octets from the socket, so that TCP slows the peer down. What was read already may still arrive as
  /// messages, at most one after the call. The pong time-out is suspended meanwhile.
  public func pauseReading() { onLoop { $0.setReading(false) } }

  /// Takes octets again.
  public func resumeReading() { onLoop { $0.setReading(true) } }

  // MARK: Ending

  /// Starts the closing handshake; messages sent before still go out, messages received later are dropped. Only the
  /// first call counts.
  /// - Parameter reason: at most 123 bytes of UTF-8; the rest is cut off.
  public func close(code: CloseCode = .normal, reason: String = "") {
    onLoop { $0.close(CloseStatus(code, reason: reason)) }
  }

  /// Drops the connection at once, without a closing handshake.
  public func abort() {
    onLoop { $0.abort(WebSocketCloseReason(cause: .connectionLost, code: .abnormal, reason: "aborted")) }
  }

  private func onLoop(_ body: @escaping @Sendable (WebSocketEndpoint) -> Void) {
    if eventLoop.inEventLoop {
      if let endpoint { body(endpoint) }
    } else {
      eventLoop.execute { if let endpoint = self.endpoint { body(endpoint) } }
    }
  }
}
