public import NIOCore
import NIOPosix

/// Opens a client's connection to the first address of a host that answers, with TLS when there is a context for it.
///
/// - Parameters:
///   - deadline: for all of it, until the promise that `configure` is given is kept; then `timedOut` is thrown.
///   - eventLoop: the connection's.
///   - explain: makes of a failure to connect the error that is thrown.
///   - configure: adds the handlers that stand behind TLS, on the event loop. `ready` is kept when octets may flow;
///     the promise is its own to keep or to fail, with what is returned here.
///
/// Nothing is left open after an error or a cancellation.
public func openConnection<Opened: Sendable>(
  to host: String, port: Int, tls: TLSContext?, before deadline: NIODeadline, timedOut: any Error,
  on eventLoop: any EventLoop, explain: @escaping @Sendable (any Error) -> any Error = { $0 },
  configure:
    @escaping @Sendable (_ channel: any Channel, _ ready: EventLoopFuture<Void>, _ opened: EventLoopPromise<Opened>)
    throws -> Void
) async throws -> Opened {
  let opened = eventLoop.makePromise(of: Opened.self)
  let connected = eventLoop.makePromise(of: Void.self)
  let timeout = eventLoop.scheduleTask(deadline: deadline) { opened.fail(timedOut) }
  let connecting = ClientBootstrap(group: eventLoop)
    .connectTimeout(max(.milliseconds(1), deadline - .now()))
    .channelOption(.tcpOption(.tcp_nodelay), value: 1)
    .channelInitializer { channel in
      channel.eventLoop.makeCompletedFuture {
        var ready = connected.futureResult
        if let tls {
          let handler = try TLSHandler(tls, host: host, eventLoop: channel.eventLoop)
          try channel.pipeline.syncOperations.addHandler(handler)
          ready = ready.and(handler.handshake).map { _ in }
        }
        try configure(channel, ready, opened)
      }
    }
    .connect(host: host, port: port)
  connecting.map { _ in }.cascade(to: connected)
  connecting.whenFailure { error in
    if case ChannelError.connectTimeout = error { opened.fail(timedOut) } else { opened.fail(explain(error)) }
  }
  // A time-out, or a caller that has gone, must not leave the channel behind.
  opened.futureResult.whenComplete { result in
    timeout.cancel()
    if case .failure = result { connecting.whenSuccess { $0.close(promise: nil) } }
  }
  return try await withTaskCancellationHandler {
    try await opened.futureResult.get()
  } onCancel: {
    opened.fail(CancellationError())
  }
}
