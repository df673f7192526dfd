import NIOConcurrencyHelpers
public import NIOCore
public import WebSocket

/// A message as a stream delivers it.
public enum WebSocketMessage: Sendable, Hashable {
  case text(String)
  case binary(ByteBuffer)
}

/// A connection for structured concurrency: messages as an asynchronous sequence, and sends that wait while the peer is
/// slow. It holds at most `capacity` messages, and one read of the socket's more; then TCP slows the peer down.
///
/// The sequence ends when the connection does; `closeReason` then tells how. One task iterates, any may send.
public final class WebSocketStream: AsyncSequence, Sendable {
  public typealias Element = WebSocketMessage

  private struct State {
    var messages: [WebSocketMessage] = []
    /// Index of the next message; the array is emptied when all have been taken.
    var next = 0
    var reader: CheckedContinuation<WebSocketMessage?, Never>?
    var writers: [UInt64: CheckedContinuation<Void, any Error>] = [:]
    var lastWriter: UInt64 = 0
    var isPaused = false
    var isWritable = true
    var reason: WebSocketCloseReason?

    var waiting: Int { messages.count - next }
  }

  private let capacity: Int
  private let state = NIOLockedValueBox(State())
  private let opened = NIOLockedValueBox<WebSocketConnection?>(nil)

  private init(capacity: Int) { self.capacity = Swift.max(capacity, 1) }

  /// Connects as `WebSocketClient.connect` does.
  /// - Parameter capacity: messages held before reading stops. Default 64.
  public static func connect(
    url: String, headers: [(String, String)] = [],
    configuration: WebSocketClientConfiguration = WebSocketClientConfiguration(), eventLoopGroup: any EventLoopGroup,
    capacity: Int = 64
  ) async throws(WebSocketClientError) -> WebSocketStream {
    let stream = WebSocketStream(capacity: capacity)
    _ = try await WebSocketClient.connect(
      url: url, headers: headers, configuration: configuration, eventLoopGroup: eventLoopGroup,
      session: { StreamSession(stream) })
    return stream
  }

  /// For a server: a session whose connection is a stream, handed to `body` in a task of its own once it is open.
  /// - Parameter capacity: messages held before reading stops. Default 64.
  public static func serving(
    capacity: Int = 64, _ body: @escaping @Sendable (WebSocketStream) async -> Void
  ) -> any WebSocketSession {
    StreamSession(WebSocketStream(capacity: capacity)) { stream in Task { await body(stream) } }
  }

  /// The connection beneath, for its properties, `ping` and so on.
  public var connection: WebSocketConnection? { opened.withLockedValue { $0 } }

  /// How the connection ended; nil while it is open.
  public var closeReason: WebSocketCloseReason? { state.withLockedValue { $0.reason } }

  /// Starts the closing handshake. Messages that were received before can still be read.
  public func close(code: CloseCode = .normal, reason: String = "") { connection?.close(code: code, reason: reason) }

  // MARK: Sending

  /// Sends a text message and waits while too much is buffered.
  /// - Throws: `WebSocketStreamClosed` when the connection has ended; `CancellationError`.
  public func send(text: String) async throws {
    try checkOpen()
    connection?.send(text: text)
    try await drained()
  }

  /// Sends a binary message and waits while too much is buffered.
  /// - Throws: `WebSocketStreamClosed` when the connection has ended; `CancellationError`.
  public func send(binary: ByteBuffer) async throws {
    try checkOpen()
    connection?.send(binary: binary)
    try await drained()
  }

  private func checkOpen() throws {
    if let reason = closeReason { throw WebSocketStreamClosed(reason: reason) }
  }

  private func drained() async throws {
    // A send from another thread counts only once the event loop has taken it.
    if let connection { try await connection.eventLoop.submit {}.get() }
    let id = state.withLockedValue { state in
      state.lastWriter += 1
      return state.lastWriter
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        let isWritable = state.withLockedValue { state in
          if Task.isCancelled || state.isWritable || state.reason != nil { return true }
          state.writers[id] = continuation
          return false
        }
        if isWritable { continuation.resume() }
      }
      try Task.checkCancellation()
    } onCancel: {
      state.withLockedValue { $0.writers.removeValue(forKey: id) }?.resume(throwing: CancellationError())
    }
  }

  // MARK: Reading

  public struct AsyncIterator: AsyncIteratorProtocol {
    let stream: WebSocketStream

    /// Nil when the connection has ended, or the task was cancelled.
    public mutating func next() async -> WebSocketMessage? { await stream.nextMessage() }
  }

  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(stream: self) }

  private func nextMessage() async -> WebSocketMessage? {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        enum Outcome {
          case message(WebSocketMessage, resumes: Bool)
          case end
          case wait
        }
        let outcome: Outcome = state.withLockedValue { state in
          if state.next < state.messages.count {
            let message = state.messages[state.next]
            state.next += 1
            if state.next == state.messages.count {
              state.messages.removeAll(keepingCapacity: true)
              state.next = 0
            }
            let resumes = state.isPaused && state.waiting <= capacity / 2
            if resumes { state.isPaused = false }
            return .message(message, resumes: resumes)
          }
          if state.reason != nil || Task.isCancelled { return .end }
          precondition(state.reader == nil, "one task at a time may iterate over a WebSocketStream")
          state.reader = continuation
          return .wait
        }
        switch outcome {
        case .message(let message, let resumes):
          if resumes { connection?.resumeReading() }
          continuation.resume(returning: message)
        case .end: continuation.resume(returning: nil)
        case .wait: break
        }
      }
    } onCancel: {
      state.withLockedValue { state in
        defer { state.reader = nil }
        return state.reader
      }?.resume(returning: nil)
    }
  }

  // MARK: From the session

  fileprivate func connected(_ connection: WebSocketConnection) { opened.withLockedValue { $0 = connection } }

  fileprivate func received(_ message: WebSocketMessage) {
    let (reader, pauses) = state.withLockedValue { state in
      if let reader = state.reader.take() {
        return (Optional(reader), false)
      }
      state.messages.append(message)
      let pauses = !state.isPaused && state.waiting >= capacity
      if pauses { state.isPaused = true }
      return (nil, pauses)
    }
    reader?.resume(returning: message)
    if pauses { connection?.pauseReading() }
  }

  fileprivate func writabilityChanged(_ isWritable: Bool) {
    let writers = state.withLockedValue { state in
      state.isWritable = isWritable
      guard isWritable else { return [CheckedContinuation<Void, any Error>]() }
      defer { state.writers = [:] }
      return Array(state.writers.values)
    }
    for writer in writers { writer.resume() }
  }

  fileprivate func closed(_ reason: WebSocketCloseReason) {
    let (reader, writers) = state.withLockedValue { state in
      state.reason = reason
      defer {
        state.reader = nil
        state.writers = [:]
      }
      return (state.reader, Array(state.writers.values))
    }
    reader?.resume(returning: nil)
    for writer in writers { writer.resume(throwing: WebSocketStreamClosed(reason: reason)) }
  }
}

/// The connection ended before, or while, a message was sent.
public struct WebSocketStreamClosed: Error, Sendable {
  public let reason: WebSocketCloseReason
}

/// The stream's end on the event loop.
private final class StreamSession: WebSocketSession {
  private let stream: WebSocketStream
  private let opened: (WebSocketStream) -> Void

  init(_ stream: WebSocketStream, opened: @escaping (WebSocketStream) -> Void = { _ in }) {
    self.stream = stream
    self.opened = opened
  }

  func connected(_ connection: WebSocketConnection) {
    stream.connected(connection)
    opened(stream)
  }
  func received(text: ByteBuffer) { stream.received(.text(String(buffer: text))) }
  func received(binary: ByteBuffer) { stream.received(.binary(binary)) }
  func writabilityChanged(_ isWritable: Bool) { stream.writabilityChanged(isWritable) }
  func closed(_ reason: WebSocketCloseReason) { stream.closed(reason) }
}
