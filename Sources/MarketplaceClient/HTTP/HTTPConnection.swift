import NIOCore
import NIOHTTP1
import NIOPosix
import TLS

/// What a request carries besides its head.
enum RequestBody: Sendable {
  case none
  case bytes(ByteBuffer)
  case stream(UploadBody)
}

/// One open connection to the coordinator. Whoever holds it has it alone.
struct HTTPConnection: Sendable {
  /// What opening one takes.
  struct Target: Sendable {
    let host: String
    let port: Int
    /// Nil: plain HTTP.
    let tls: TLSContext?
    let connectTimeout: TimeAmount
    let silenceTimeout: TimeAmount
  }

  let channel: any Channel
  private let handler: NIOLoopBound<ExchangeHandler>

  /// Connects and does the TLS handshake. `ended`: see ``ExchangeHandler``.
  static func open(
    _ target: Target, before deadline: NIODeadline, ended: @escaping @Sendable (Bool) -> Void
  ) async throws -> HTTPConnection {
    try await openConnection(
      to: target.host, port: target.port, tls: target.tls, before: min(.now() + target.connectTimeout, deadline),
      timedOut: ConnectionFailure.connectTimeout, on: MultiThreadedEventLoopGroup.singleton.next()
    ) { channel, ready, opened in
      let pipeline = channel.pipeline.syncOperations
      let handler = ExchangeHandler(silenceTimeout: target.silenceTimeout, ended: ended)
      try pipeline.addHTTPClientHandlers(leftOverBytesStrategy: .dropBytes)
      try pipeline.addHandler(handler)
      let connection = HTTPConnection(channel: channel, handler: NIOLoopBound(handler, eventLoop: channel.eventLoop))
      ready.map { connection }.cascade(to: opened)
    }
  }

  /// Sends a request and returns with the head of its answer.
  func exchange(_ head: HTTPRequestHead, body: RequestBody, deadline: NIODeadline) async throws -> ReceivedAnswer {
    let answer = channel.eventLoop.makePromise(of: ReceivedAnswer.self)
    return try await withTaskCancellationHandler {
      run { $0.begin(head, body: body, deadline: deadline, answer: answer) }
      // A cancellation before this moment found nothing to give up.
      if Task.isCancelled { run { $0.abort(CancellationError(), awaiting: answer.futureResult) } }
      if case .stream(let upload) = body { try await send(upload, awaiting: answer.futureResult) }
      return try await answer.futureResult.get()
    } onCancel: {
      run { $0.abort(CancellationError(), awaiting: answer.futureResult) }
    }
  }

  /// Closes; an exchange under way fails with `error`.
  func abort(_ error: any Error) { run { $0.abort(error) } }

  private func send(_ upload: UploadBody, awaiting answer: EventLoopFuture<ReceivedAnswer>) async throws {
    do {
      for try await buffer in upload { guard try await write(buffer) else { return } }
    } catch {
      run { $0.abort(error, awaiting: answer) }
      throw error
    }
    run { $0.finish() }
  }

  private func write(_ buffer: ByteBuffer) async throws -> Bool {
    let promise = channel.eventLoop.makePromise(of: Bool.self)
    run { $0.write(buffer, promise: promise) }
    return try await promise.futureResult.get()
  }

  private func run(_ body: @escaping @Sendable (ExchangeHandler) -> Void) {
    channel.eventLoop.execute { [handler] in body(handler.value) }
  }
}
