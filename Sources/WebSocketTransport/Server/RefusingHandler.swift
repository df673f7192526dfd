import NIOCore
import NIOHTTP1
import WebSocket

/// Answers requests that are not upgraded, and closes.
final class RefusingHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let rejection: (HTTPRequestHead) -> HandshakeRejection?
  private var hasAnswered = false

  init(rejection: @escaping (HTTPRequestHead) -> HandshakeRejection?) { self.rejection = rejection }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard case .head(let request) = unwrapInboundIn(data), !hasAnswered else { return }
    hasAnswered = true
    let channel = context.channel
    ProblemAnswer(rejection(request)).write(on: context.eventLoop) {
      context.writeAndFlush(self.wrapOutboundOut($0), promise: $1)
    }
    .whenComplete { _ in channel.close(promise: nil) }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event is ChannelShouldQuiesceEvent { context.close(promise: nil) }
    context.fireUserInboundEventTriggered(event)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
