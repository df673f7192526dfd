import NIOCore
import WebSocketTransport

/// Sends every message back. Text stays text, binary stays binary.
final class EchoSession: WebSocketSession {
  private var connection: WebSocketConnection?
  private let ended: EventLoopPromise<WebSocketCloseReason>?
  private let firstText: EventLoopPromise<String?>?

  /// - Parameters:
  ///   - ended: told how the connection ended.
  ///   - firstText: instead of an echo, gets the first text message, or nil when there is none.
  init(
    ended: EventLoopPromise<WebSocketCloseReason>? = nil, firstText: EventLoopPromise<String?>? = nil
  ) {
    self.ended = ended
    self.firstText = firstText
  }

  func connected(_ connection: WebSocketConnection) { self.connection = connection }

  func received(text: ByteBuffer) {
    if let firstText {
      firstText.succeed(String(buffer: text))
    } else {
      connection?.send(text: text)
    }
  }

  func received(binary: ByteBuffer) { if firstText == nil { connection?.send(binary: binary) } }

  /// A peer that sends faster than it reads is slowed down.
  func writabilityChanged(_ isWritable: Bool) {
    if isWritable { connection?.resumeReading() } else { connection?.pauseReading() }
  }

  func closed(_ reason: WebSocketCloseReason) {
    ended?.succeed(reason)
    firstText?.succeed(nil)
    connection = nil
  }
}
