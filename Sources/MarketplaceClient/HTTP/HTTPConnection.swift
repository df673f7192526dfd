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
    let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
    let promise = eventLoop.makePromise(of: HTTPConnection.self)
    let timeout = eventLoop.scheduleTask(deadline: min(.now() + target.connectTimeout, deadline)) {
      promise.fail(ConnectionFailure.connectTimeout)
    }
    let connecting = ClientBootstrap(group: eventLoop)
      .connectTimeout(target.connectTimeout)
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try configure(channel, target, ended) }
      }
      .connect(host: target.host, port: target.port)
    connecting.whenFailure { promise.fail($0) }
    connecting.whenSuccess { channel in
      do {
        let pipeline = channel.pipeline.syncOperations
        let handler = NIOLoopBound(try pipeline.handler(type: ExchangeHandler.self), eventLoop: eventLoop)
        let ready =
          target.tls == nil
          ? eventLoop.makeSucceededVoidFuture() : try pipeline.handler(type: TLSHandler.self).handshake
        ready.map { HTTPConnection(channel: channel, handler: handler) }.cascade(to: promise)
      } catch {
        promise.fail(error)
      }
    }
    // A time-out of ours, or a caller that has gone, must not leave the channel behind.
    promise.futureResult.whenComplete { result in
      timeout.cancel()
      if case .failure = result { connecting.whenSuccess { $0.close(promise: nil) } }
    }
    return try await withTaskCancellationHandler {
      try await promise.futureResult.get()
    } onCancel: {
      promise.fail(CancellationError())
    }
  }

  private static func configure(
    _ channel: any Channel, _ target: Target, _ ended: @escaping @Sendable (Bool) -> Void
  ) throws {
    let pipeline = channel.pipeline.syncOperations
    if let tls = target.tls {
      try pipeline.addHandler(TLSHandler(tls, host: target.host, eventLoop: channel.eventLoop))
    }
    try pipeline.addHTTPClientHandlers(leftOverBytesStrategy: .dropBytes)
    try pipeline.addHandler(ExchangeHandler(silenceTimeout: target.silenceTimeout, ended: ended))
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
