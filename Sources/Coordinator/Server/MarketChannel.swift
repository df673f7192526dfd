import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import WebSocketTransport

/// One accepted connection: ordinary HTTP/1.1, or a WebSocket from its first request on.
struct MarketChannel: ServerChildChannel, HTTPChannelHandler {
  typealias HTTPChannel = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

  struct Value: ServerChildChannelValue {
    enum Kind: Sendable {
      case http(HTTPChannel)
      case webSocket
    }
    let channel: any Channel
    let kind: Kind
  }

  let responder: Responder
  let idleTimeout: TimeAmount
  let upgrader: WebSocketServerUpgrader<Value>

  func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
    do {
      let operations = channel.pipeline.syncOperations
      try operations.addHandler(FirstRequestDeadline(timeout: idleTimeout))
      var configuration = NIOUpgradableHTTPServerPipelineConfiguration<Value>(
        upgradeConfiguration: NIOTypedHTTPServerUpgradeConfiguration(
          upgraders: [upgrader],
          notUpgradingCompletionHandler: { channel in
            channel.eventLoop.makeCompletedFuture { try addHTTP(to: channel, logger: logger) }
          }))
      // Requests of one connection are served in turn by the asynchronous channel.
      configuration.enablePipelining = false
      configuration.enableErrorHandling = false
      configuration.enableResponseHeaderValidation = false
      return try operations.configureUpgradableHTTPServerPipeline(configuration: configuration)
        .flatMapThrowing { (value: Value) in
          try channel.pipeline.syncOperations.handler(type: FirstRequestDeadline.self).arrived()
          return value
        }
    } catch {
      return channel.eventLoop.makeFailedFuture(error)
    }
  }

  private func addHTTP(to channel: any Channel, logger: Logger) throws -> Value {
    let operations = channel.pipeline.syncOperations
    try operations.addHandler(HTTP1ToHTTPServerCodec(secure: false))
    try operations.addHandler(
      HTTPConnectionStateHandler(idleTimeout: .nanoseconds(idleTimeout.nanoseconds), logger: logger))
    let asyncChannel = try HTTPChannel(
      wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
    return Value(channel: channel, kind: .http(asyncChannel))
  }

  func handle(value: Value, logger: Logger) async {
    switch value.kind {
    case .http(let channel): await handleHTTP(asyncChannel: channel, logger: logger)
    // The session lives on its event loop; the server waits for the socket's end.
    case .webSocket: try? await value.channel.closeFuture.get()
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
