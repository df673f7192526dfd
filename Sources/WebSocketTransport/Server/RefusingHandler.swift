import NIOCore
import NIOHTTP1
import WebSocket

/// Answers requests that are not upgraded, and closes.
final class RefusingHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let rejection: (HTTPRequestHead) -> HandshakeRejection?

  init(rejection: @escaping (HTTPRequestHead) -> HandshakeRejection?) { self.rejection = rejection }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard case .head(let request) = unwrapInboundIn(data) else { return }
    let rejection = self.rejection(request)
    let status = HTTPResponseStatus(statusCode: rejection?.status ?? 403)
    let body = """
      {"type":"about:blank","title":"\(status.reasonPhrase)","status":\(status.code),\
      "code":"\(rejection?.code ?? "REFUSED")","detail":"\(rejection?.reason ?? "the connection was refused")"}\n
      """
    var headers = HTTPHeaders([
      ("Content-Type", "application/problem+json"), ("Content-Length", "\(body.utf8.count)"), ("Connection", "close"),
    ])
    for field in rejection?.fields ?? [] { headers.replaceOrAdd(name: field.name, value: field.value) }
    if rejection?.status == 426 { headers.replaceOrAdd(name: "Connection", value: "Upgrade, close") }
    let head = HTTPResponseHead(version: .http1_1, status: status, headers: headers)
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: body)))), promise: nil)
    let channel = context.channel
    context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in channel.close(promise: nil) }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event is ChannelShouldQuiesceEvent { context.close(promise: nil) }
    context.fireUserInboundEventTriggered(event)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
