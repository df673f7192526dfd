import NIOCore
import WebSocket

/// Sends the request, reads the answer, and makes way for the connection's own handler.
final class ClientHandshakeHandler: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private enum State {
    case head(HTTPHeadParser)
    case body(ResponseHead, ResponseBody)
    case done
  }

  private let handshake: ClientHandshake
  private let promise: EventLoopPromise<WebSocketConnection>
  private let makeEndpoint: (ClientHandshake.Agreement, any Channel) -> WebSocketEndpoint
  private var state = State.head(HTTPHeadParser())
  private var hasSent = false

  init(
    handshake: ClientHandshake, promise: EventLoopPromise<WebSocketConnection>,
    makeEndpoint: @escaping (ClientHandshake.Agreement, any Channel) -> WebSocketEndpoint
  ) {
    self.handshake = handshake
    self.promise = promise
    self.makeEndpoint = makeEndpoint
  }

  func handlerAdded(context: ChannelHandlerContext) { if context.channel.isActive { sendRequest(context) } }

  func channelActive(context: ChannelHandlerContext) {
    sendRequest(context)
    context.fireChannelActive()
  }

  private func sendRequest(_ context: ChannelHandlerContext) {
    guard !hasSent else { return }
    hasSent = true
    context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: handshake.request.encoded)), promise: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var buffer = unwrapInboundIn(data)
    do {
      while buffer.readableBytes > 0, try step(&buffer, context) {}
    } catch {
      fail(.invalidResponse("\(error)"), context)
    }
  }

  /// Takes octets; false: nothing more to do with them here.
  private func step(_ buffer: inout ByteBuffer, _ context: ChannelHandlerContext) throws -> Bool {
    switch state {
    case .head(var parser):
      let isWhole = try buffer.readWithUnsafeReadableBytes { octets in
        var input = octets
        let isWhole = try parser.append(&input)
        return (octets.count - input.count, isWhole)
      }
      state = .head(parser)
      guard isWhole else { return false }
      return try headReceived(parser.response(), rest: buffer, context)
    case .body(let head, var body):
      buffer.withUnsafeReadableBytes { body.append($0) }
      state = .body(head, body)
      if body.isComplete { refused(head, body, context) }
      return false
    case .done:
      return false
    }
  }

  private func headReceived(_ head: ResponseHead, rest: ByteBuffer, _ context: ChannelHandlerContext) throws -> Bool {
    if head.status == 101 {
      upgrade(try handshake.verify(head), rest: rest, context)
      return false
    }
    // Interim answers (100, 103) come before the real one.
    guard head.status >= 200 else {
      state = .head(HTTPHeadParser())
      return true
    }
    let body = ResponseBody(head)
    state = .body(head, body)
    if body.isComplete { refused(head, body, context) }
    return !body.isComplete
  }

  private func upgrade(_ agreement: ClientHandshake.Agreement, rest: ByteBuffer, _ context: ChannelHandlerContext) {
    state = .done
    let endpoint = makeEndpoint(agreement, context.channel)
    let pipeline = context.pipeline.syncOperations
    do {
      try pipeline.addHandler(ChannelCarrier(endpoint), position: .after(self))
    } catch {
      return fail(.unreachable("\(error)"), context)
    }
    // Frames right behind the 101 come after `connected` and before the handle is handed out.
    if rest.readableBytes > 0 { context.fireChannelRead(NIOAny(rest)) }
    context.fireChannelReadComplete()
    pipeline.removeHandler(self, promise: nil)
    promise.succeed(endpoint.connection)
  }

  private func refused(_ head: ResponseHead, _ body: ResponseBody, _ context: ChannelHandlerContext) {
    let headers = head.fields.map { ($0.name, $0.value) }
    fail(.refused(status: head.status, headers: headers, body: body.bytes), context)
  }

  func channelInactive(context: ChannelHandlerContext) {
    if case .body(let head, let body) = state {
      refused(head, body, context)
    } else {
      fail(.unreachable("the server closed the connection"), context)
    }
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    fail(.unreachable("\(error)"), context)
  }

  private func fail(_ error: WebSocketClientError, _ context: ChannelHandlerContext) {
    if case .done = state { return }
    state = .done
    promise.fail(error)
    context.close(promise: nil)
  }
}
