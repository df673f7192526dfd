import NIOCore
import NIOHTTP1
import WebSocket

/// Stands between a connection's HTTP/1.1 codec and its HTTP handlers. A request that asks for a WebSocket and may have
/// one, the first or a later one, makes the connection a WebSocket; all others go on to the handlers behind.
///
/// In place of NIO's typed upgrade handler, which sees a connection's first request only and swallows the head of a
/// request with an `Upgrade` header that it then does not upgrade, so that nobody can answer it (a refusal, but also any
/// client that offers `h2c`). For the same reason it stays on plain connections: NIO's decoder parses nothing after a
/// request with `Connection: Upgrade`, so here it is replaced by a new one behind each of those.
final class UpgradeHandler<UpgradeResult: Sendable>: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = HTTPServerRequestPart
  typealias OutboundIn = HTTPServerResponsePart
  typealias OutboundOut = HTTPServerResponsePart

  /// A request that has passed the handshake's rules.
  struct Candidate {
    var parts: [HTTPServerRequestPart]
    let handshake: ServerHandshake
    /// `admit` was called.
    var isAsked = false
    var admitted: PendingUpgrade?

    var isWhole: Bool { if case .end = parts.last { true } else { false } }
  }

  enum State {
    /// Nothing has come, and nobody stands behind.
    case waiting
    /// Waits for the responses before it, for `admit`, or for the request's end.
    case deciding(Candidate)
    /// HTTP leaves the pipeline; what arrives are frames.
    case upgrading(bytes: [ByteBuffer])
    /// The HTTP handlers are being set up.
    case handingOver(parts: [HTTPServerRequestPart])
    case http(renews: Bool)
    case renewing(bytes: ByteBuffer)
    /// Upgraded, or broken: nothing of HTTP passes any more.
    case done
  }

  /// How long a connection that sent no HTTP is still read from after the answer.
  private static var linger: TimeAmount { .milliseconds(500) }

  let upgrader: WebSocketServerUpgrader<UpgradeResult>
  let leaving: (any Channel) -> EventLoopFuture<Void>
  let notUpgrading: (any Channel) -> EventLoopFuture<UpgradeResult>
  let promise: EventLoopPromise<UpgradeResult>
  let encoder: HTTPResponseEncoder
  var decoder: ByteToMessageHandler<HTTPRequestDecoder>
  var state = State.waiting
  /// The HTTP handlers stand behind.
  var hasHTTP = false
  /// Requests that were passed on and not yet answered to the end.
  var openResponses = 0
  /// A read was asked for while none was wanted.
  private var readIsDue = false

  init(
    upgrader: WebSocketServerUpgrader<UpgradeResult>, encoder: HTTPResponseEncoder,
    decoder: ByteToMessageHandler<HTTPRequestDecoder>, promise: EventLoopPromise<UpgradeResult>,
    leaving: @escaping (any Channel) -> EventLoopFuture<Void>,
    notUpgrading: @escaping (any Channel) -> EventLoopFuture<UpgradeResult>
  ) {
    self.upgrader = upgrader
    self.encoder = encoder
    self.decoder = decoder
    self.promise = promise
    self.leaving = leaving
    self.notUpgrading = notUpgrading
  }

  /// Bounds on a request's head; past them the answer is 431. One field with its name: 16 KiB; all of them: 32 KiB; 128
  /// fields.
  private static var headLimits: NIOHTTPDecoderLimitConfiguration {
    var limits = NIOHTTPDecoderLimitConfiguration()
    limits.maxHeaderFieldSize = 16 << 10
    limits.maxHeaderListSize = 32 << 10
    limits.maxHeaderFieldCount = 128
    return limits
  }

  /// Bytes that the decoder may hold back: what stands behind a request that waits.
  /// Past it: 431. Default 256 KiB.
  private static var maximumHeld: Int { 256 << 10 }

  static func makeDecoder() -> ByteToMessageHandler<HTTPRequestDecoder> {
    ByteToMessageHandler(
      HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: headLimits),
      maximumBufferSize: maximumHeld)
  }

  // MARK: Inbound

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch state {
    case .waiting, .http, .deciding:
      route(unwrapInboundIn(data), context)
    case .upgrading(var bytes):
      bytes.append(Self.unwrapBytes(data))
      state = .upgrading(bytes: bytes)
    case .handingOver(var parts):
      parts.append(unwrapInboundIn(data))
      state = .handingOver(parts: parts)
    case .renewing(var bytes):
      bytes.writeImmutableBuffer(Self.unwrapBytes(data))
      state = .renewing(bytes: bytes)
    case .done:
      break
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    switch state {
    case .waiting, .upgrading: closeAtEnd(event, context)
    case .deciding where !hasHTTP: closeAtEnd(event, context)
    default: context.fireUserInboundEventTriggered(event)
    }
  }

  /// Nobody behind could react to either.
  private func closeAtEnd(_ event: Any, _ context: ChannelHandlerContext) {
    if event is ChannelShouldQuiesceEvent || (event as? ChannelEvent) == .inputClosed { context.close(promise: nil) }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    switch state {
    case .waiting, .http:
      // In the middle of an exchange only the handlers behind know what may still be said.
      guard openResponses == 0, error is HTTPParserError || error is ByteToMessageDecoderError.PayloadTooLargeError
      else { return context.fireErrorCaught(error) }
      state = .done
      promise.fail(error)
      answerMalformed(error, context)
    default: context.fireErrorCaught(error)
    }
  }

  private func answerMalformed(_ error: any Error, _ context: ChannelHandlerContext) {
    let parts = upgrader.malformed?(error) ?? ProblemAnswer(error).parts
    context.write(wrapOutboundOut(.head(parts.head)), promise: nil)
    context.write(wrapOutboundOut(.body(.byteBuffer(parts.body))), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.end(nil))).assumeIsolated().whenComplete { _ in
      // Closed with bytes unread, a connection is reset, and the answer may be lost to that.
      context.close(mode: .output, promise: nil)
      context.eventLoop.assumeIsolated().scheduleTask(in: Self.linger) { context.close(promise: nil) }
    }
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

  // MARK: Outbound

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    if case .done = state {
      // The HTTP handlers of an upgraded connection stay behind, muted.
      promise?.fail(ChannelError.ioOnClosedChannel)
      return
    }
    let part = unwrapOutboundIn(data)
    context.write(data, promise: promise)
    guard case .end = part else { return }
    openResponses -= 1
    ask(context)
  }

  /// While a request waits for its decision nothing more is read: what a client sends meanwhile stays in its socket.
  func read(context: ChannelHandlerContext) {
    if case .deciding(let candidate) = state, candidate.isWhole { readIsDue = true } else { context.read() }
  }

  func releaseReads(_ context: ChannelHandlerContext) {
    guard readIsDue else { return }
    readIsDue = false
    context.read()
  }
}
