import NIOCore
import NIOHTTP1
import WebSocket

/// Looks at a connection's first request and makes the connection a WebSocket or leaves it to the HTTP handlers behind.
///
/// In place of NIO's typed upgrade handler, which swallows the head of a request with an `Upgrade` header that it then
/// does not upgrade, so that nobody can answer it (a refusal, but also any client that offers `h2c`). For the same
/// reason it stays on plain connections: NIO's decoder parses nothing after a request with `Connection: Upgrade`, so
/// here it is replaced by a new one behind each of those.
final class FirstRequestHandler<UpgradeResult: Sendable>: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private enum State {
    case waiting
    /// The request may be upgraded; `admit` has not answered, or the request has not ended.
    case deciding(parts: [HTTPServerRequestPart], admitted: PendingUpgrade?)
    /// HTTP leaves the pipeline; what arrives are frames.
    case upgrading(bytes: [ByteBuffer])
    /// The HTTP handlers are being set up.
    case handingOver(parts: [HTTPServerRequestPart])
    case http(renews: Bool)
    case renewing(bytes: ByteBuffer)
    case done
  }

  private let upgrader: WebSocketServerUpgrader<UpgradeResult>
  private let notUpgrading: (any Channel) -> EventLoopFuture<UpgradeResult>
  private let promise: EventLoopPromise<UpgradeResult>
  private let encoder: HTTPResponseEncoder
  private var decoder: ByteToMessageHandler<HTTPRequestDecoder>
  private var state = State.waiting

  init(
    upgrader: WebSocketServerUpgrader<UpgradeResult>, encoder: HTTPResponseEncoder,
    decoder: ByteToMessageHandler<HTTPRequestDecoder>, promise: EventLoopPromise<UpgradeResult>,
    notUpgrading: @escaping (any Channel) -> EventLoopFuture<UpgradeResult>
  ) {
    self.upgrader = upgrader
    self.encoder = encoder
    self.decoder = decoder
    self.promise = promise
    self.notUpgrading = notUpgrading
  }

  static func makeDecoder() -> ByteToMessageHandler<HTTPRequestDecoder> {
    ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes))
  }

  // MARK: Channel

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch state {
    case .waiting:
      let part = unwrapInboundIn(data)
      guard case .head(let head) = part else { return }
      decide(head, context)
    case .deciding(var parts, let admitted):
      parts.append(unwrapInboundIn(data))
      state = .deciding(parts: parts, admitted: admitted)
      upgradeIfReady(context)
    case .upgrading(var bytes):
      bytes.append(Self.unwrapBytes(data))
      state = .upgrading(bytes: bytes)
    case .handingOver(var parts):
      parts.append(unwrapInboundIn(data))
      state = .handingOver(parts: parts)
    case .http:
      pass(unwrapInboundIn(data), context)
    case .renewing(var bytes):
      bytes.writeImmutableBuffer(Self.unwrapBytes(data))
      state = .renewing(bytes: bytes)
    case .done:
      context.fireChannelRead(data)
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    switch state {
    case .waiting, .deciding, .upgrading:
      // Nobody behind could react to either.
      if event is ChannelShouldQuiesceEvent || (event as? ChannelEvent) == .inputClosed {
        context.close(promise: nil)
      }
    default:
      context.fireUserInboundEventTriggered(event)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard case .waiting = state else { return context.fireErrorCaught(error) }
    // Not HTTP: nobody behind could say so yet.
    state = .done
    let head = HTTPResponseHead(
      version: .http1_1, status: .badRequest, headers: ["Connection": "close", "Content-Length": "0"])
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    let channel = context.channel
    context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in channel.close(promise: nil) }
    promise.fail(error)
  }

  func channelInactive(context: ChannelHandlerContext) {
    promise.fail(ChannelError.eof)
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) { promise.fail(ChannelError.eof) }

  private static func unwrapBytes(_ data: NIOAny) -> ByteBuffer {
    // Without its decoder the pipeline carries bytes, whatever this handler's type says.
    ChannelCarrier.unwrapInboundIn(data)
  }

  // MARK: Deciding

  private func decide(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
    let handshake: ServerHandshake
    do throws(HandshakeRejection) {
      handshake = try upgrader.handshake(head)
    } catch {
      return handOver([.head(head)], context)
    }
    state = .deciding(parts: [.head(head)], admitted: nil)
    upgrader.admit(head, context.channel).hop(to: context.eventLoop).assumeIsolated().whenComplete { result in
      guard case .deciding(let parts, _) = self.state else { return }
      if case .success(.accept(let session, let headers, let subprotocol)) = result {
        let pending = PendingUpgrade(
          session: session, handshake: handshake, subprotocol: subprotocol, additional: headers)
        self.state = .deciding(parts: parts, admitted: pending)
        self.upgradeIfReady(context)
      } else {
        self.handOver(parts, context)
      }
    }
  }

  private func upgradeIfReady(_ context: ChannelHandlerContext) {
    guard case .deciding(let parts, let admitted?) = state, case .end = parts.last else { return }
    state = .upgrading(bytes: [])
    let pipeline = context.pipeline.syncOperations
    let head = HTTPResponseHead(version: .http1_1, status: .switchingProtocols, headers: admitted.responseHeaders)
    pipeline.removeHandler(decoder).assumeIsolated()
      .flatMap { context.writeAndFlush(self.wrapOutboundOut(.head(head))) }
      .flatMap { pipeline.removeHandler(self.encoder) }
      .flatMapThrowing { try self.upgrader.upgrade(context.channel, admitted, self.takeBytes()) }
      .whenComplete { result in
        switch result {
        case .success(let value): self.upgraded(value, context)
        case .failure(let error):
          self.promise.fail(error)
          context.close(promise: nil)
        }
      }
  }

  /// What was read behind the request.
  private func takeBytes() -> [ByteBuffer] {
    guard case .upgrading(let bytes) = state else { return [] }
    state = .upgrading(bytes: [])
    return bytes
  }

  private func upgraded(_ value: UpgradeResult, _ context: ChannelHandlerContext) {
    guard case .upgrading = state else { return }
    state = .done
    promise.succeed(value)
    if context.pipeline.syncOperations.carriesWebSocket {
      context.pipeline.syncOperations.removeHandler(self, promise: nil)
    } else {
      // The socket has left.
      context.close(promise: nil)
    }
  }

  // MARK: Ordinary requests

  private func handOver(_ parts: [HTTPServerRequestPart], _ context: ChannelHandlerContext) {
    state = .handingOver(parts: parts)
    notUpgrading(context.channel).hop(to: context.eventLoop).assumeIsolated().whenComplete { result in
      guard case .handingOver(let parts) = self.state else { return }
      self.state = .http(renews: false)
      switch result {
      case .success(let value):
        self.promise.succeed(value)
        for part in parts { self.pass(part, context) }
        context.fireChannelReadComplete()
      case .failure(let error):
        self.promise.fail(error)
        context.close(promise: nil)
      }
    }
  }

  private func pass(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
    guard case .http(let renews) = state else { return }
    switch part {
    case .head(let head):
      state = .http(renews: head.headers.contains(name: "Upgrade"))
    case .body:
      break
    case .end:
      if renews { renewDecoder(context) }
    }
    context.fireChannelRead(wrapInboundOut(part))
  }

  private func renewDecoder(_ context: ChannelHandlerContext) {
    state = .renewing(bytes: ByteBuffer())
    let pipeline = context.pipeline.syncOperations
    pipeline.removeHandler(decoder).assumeIsolated().whenComplete { _ in
      guard case .renewing(let bytes) = self.state else { return }
      self.state = .http(renews: false)
      self.decoder = Self.makeDecoder()
      do {
        try pipeline.addHandler(self.decoder, position: .before(self))
        guard bytes.readableBytes > 0 else { return }
        self.decoder.channelRead(context: try pipeline.context(handler: self.decoder), data: NIOAny(bytes))
      } catch {
        context.close(promise: nil)
      }
    }
  }
}
