import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import WebSocketTransport

/// One accepted connection: ordinary HTTP/1.1, or a WebSocket from one of its requests on.
struct MarketChannel: ServerChildChannel, HTTPChannelHandler {
  typealias HTTPChannel = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

  /// What a connection turned out to be at its first request.
  enum Kind: Sendable {
    case http(HTTPChannel)
    case webSocket
  }

  struct Value: ServerChildChannelValue {
    let channel: any Channel
    /// Known when the first request has come; reading begins before.
    let kind: EventLoopFuture<Kind>
  }

  let responder: Responder
  let idleTimeout: TimeAmount
  let drainLimit: Int
  let drainTimeout: TimeAmount
  let upgrader: WebSocketServerUpgrader<Kind>
  let connections: OpenChannels

  func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
    connections.add(channel)
    return channel.eventLoop.makeCompletedFuture {
      // Most connections receive little: small buffers keep an idle one small.
      try channel.syncOptions?.setOption(.recvAllocator, value: WebSocketServer.receiveAllocator)
      let operations = channel.pipeline.syncOperations
      try operations.addHandler(FirstRequestDeadline(timeout: idleTimeout))
      let kind = try upgrader.configurePipeline(of: channel, leaving: leaveHTTP) { channel in
        channel.eventLoop.makeCompletedFuture { try addHTTP(to: channel, logger: logger) }
      }
      .flatMapThrowing { (kind: Kind) in
        try channel.pipeline.syncOperations.handler(type: FirstRequestDeadline.self).arrived()
        return kind
      }
      return Value(channel: channel, kind: kind)
    }
  }

  private func addHTTP(to channel: any Channel, logger: Logger) throws -> Kind {
    let operations = channel.pipeline.syncOperations
    try operations.addHandler(PeerWatch())
    try operations.addHandler(StalledPeer(StallWatch(timeout: idleTimeout)))
    try operations.addHandler(FileRegionWriter(StallWatch(timeout: idleTimeout)))
    try operations.addHandler(HTTP1ToHTTPServerCodec(secure: false))
    try operations.addHandler(RequestGuard(drainLimit: drainLimit, drainTimeout: drainTimeout))
    try operations.addHandler(
      HTTPConnectionStateHandler(idleTimeout: .nanoseconds(idleTimeout.nanoseconds), logger: logger))
    let asyncChannel = try HTTPChannel(
      wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
    return .http(asyncChannel)
  }

  /// A WebSocket may be silent for longer than a connection between two requests.
  private func leaveHTTP(_ channel: any Channel) -> EventLoopFuture<Void> {
    let operations = channel.pipeline.syncOperations
    do {
      return operations.removeHandler(try operations.handler(type: HTTPConnectionStateHandler.self))
    } catch {
      return channel.eventLoop.makeFailedFuture(error)
    }
  }

  func handle(value: Value, logger: Logger) async {
    switch try? await value.kind.get() {
    // Should a later request become a WebSocket, this waits for the next one until the socket ends.
    case .http(let channel): await handleHTTP(asyncChannel: channel, logger: logger)
    // The session lives on its event loop; the server waits for the socket's end.
    case .webSocket: try? await value.channel.closeFuture.get()
    // It ended before a whole request came, or what came was none; whoever found that closes.
    case nil: try? await value.channel.closeFuture.get()
    }
  }
}

/// Closes a connection that sends no whole request head in time, or while the server stops: until then no other handler
/// looks after it.
private final class FirstRequestDeadline: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private let timeout: TimeAmount
  private var timer: Scheduled<Void>?
  private var hasArrived = false

  init(timeout: TimeAmount) { self.timeout = timeout }

  func arrived() {
    hasArrived = true
    timer?.cancel()
    timer = nil
  }

  func handlerAdded(context: ChannelHandlerContext) {
    let channel = context.channel
    timer = context.eventLoop.scheduleTask(in: timeout) { channel.close(promise: nil) }
  }

  func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    let isOver: Bool
    switch event {
    case let event as ChannelEvent: isOver = event == .inputClosed
    default: isOver = event is ChannelShouldQuiesceEvent
    }
    if isOver, !hasArrived { return context.close(promise: nil) }
    context.fireUserInboundEventTriggered(event)
  }
}
