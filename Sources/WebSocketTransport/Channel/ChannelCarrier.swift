import NIOCore
import TLS

/// Carries an endpoint on a NIO channel, as its last handler: connections with TLS, and those of clients.
final class ChannelCarrier: ChannelDuplexHandler, Carrier {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  let endpoint: WebSocketEndpoint
  private var context: ChannelHandlerContext?

  init(_ endpoint: WebSocketEndpoint) { self.endpoint = endpoint }

  // MARK: Channel

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    var socket: NIOBSDSocket.Handle?
    if endpoint.configuration.sendsDirectly, !usesTLS(context.channel.pipeline.syncOperations) {
      socket = try? context.channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
        of: NIOBSDSocket.Handle.self
      ) { $0 }
    }
    endpoint.start(on: self, socket: socket)
  }

  func handlerRemoved(context: ChannelHandlerContext) { ended() }

  func channelInactive(context: ChannelHandlerContext) {
    endpoint.inputEnded()
    ended()
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { endpoint.lost("\(error)") }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    switch event {
    case let event as ChannelEvent where event == .inputClosed:
      // A WebSocket peer that will send nothing more cannot even close: the connection is over (pitfall: with half
      // closure allowed NIO would leave the channel open for ever).
      endpoint.inputEnded()
      endpoint.closeCarrier()
    case is ChannelShouldQuiesceEvent: endpoint.quiesce()
    default: context.fireUserInboundEventTriggered(event)
    }
  }

  /// Whoever closes the channel: from here on the socket's number may belong to another connection.
  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    endpoint.outbound.socket = nil
    context.close(mode: mode, promise: promise)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    unwrapInboundIn(data).withUnsafeReadableBytes { endpoint.received($0) }
  }

  private func ended() {
    context = nil
    endpoint.carrierEnded()
  }

  // MARK: Carrier

  var isActive: Bool { context?.channel.isActive ?? false }

  var progress: SocketProgress? { context?.channel.pipeline.syncOperations.socketProgress }

  func write(_ buffers: [ByteBuffer]) {
    guard let context else { return }
    let bytes = buffers.reduce(0) { $0 + $1.readableBytes }
    let promise = context.eventLoop.makePromise(of: Void.self)
    promise.futureResult.assumeIsolated().whenComplete { _ in self.endpoint.written(bytes) }
    for buffer in buffers.dropLast() { context.write(wrapOutboundOut(buffer), promise: nil) }
    if let last = buffers.last { context.writeAndFlush(wrapOutboundOut(last), promise: promise) }
  }

  func setReading(_ reads: Bool) {
    guard let context else { return }
    try? context.channel.syncOptions?.setOption(.autoRead, value: reads)
    if reads { context.read() }
  }

  func closeOutput() { context?.close(mode: .output, promise: nil) }

  func close() { context?.close(promise: nil) }
}

extension ChannelPipeline.SynchronousOperations {
  /// Whether the channel carries a WebSocket connection.
  var carriesWebSocket: Bool { (try? context(handlerType: ChannelCarrier.self)) != nil }

  /// How far the peer's kernel is; nil where the channel has no TCP socket, or no longer.
  package var socketProgress: SocketProgress? {
    let known = try? withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { SystemCalls.progress($0) }
    return known ?? nil
  }
}

/// Whether what is written goes through TLS.
func usesTLS(_ pipeline: ChannelPipeline.SynchronousOperations) -> Bool {
  (try? pipeline.context(handlerType: TLSHandler.self)) != nil
}
