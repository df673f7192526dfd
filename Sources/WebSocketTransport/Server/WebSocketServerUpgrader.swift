public import NIOCore
public import NIOHTTP1
public import WebSocket

/// Turns HTTP/1.1 requests into WebSocket connections. One upgrader serves any number of channels; on each it looks at
/// every request until one is upgraded, which waits for the answers to those before it.
///
/// A request that breaks a rule of the handshake, or that `admit` refuses, is not upgraded: it goes on as an ordinary
/// request, and the HTTP side answers. `rejection(of:)` says what to answer where the handshake is at fault.
public final class WebSocketServerUpgrader<UpgradeResult: Sendable>: Sendable {
  /// Decides about a request that has passed the handshake's rules. May take its time: it returns a future. A future
  /// that fails refuses.
  public typealias Admit = @Sendable (HTTPRequestHead, any Channel) -> EventLoopFuture<WebSocketAdmission>

  /// What to answer to bytes that are no HTTP request.
  public typealias Malformed = @Sendable (any Error) -> (head: HTTPResponseHead, body: ByteBuffer)

  let admit: Admit
  let malformed: Malformed?
  private let configuration: Shared<WebSocketConfiguration>
  private let origins: OriginPolicy
  private let upgraded: @Sendable (any Channel, WebSocketConnection) -> UpgradeResult
  private let loops = LoopResourcesMap()

  /// - Parameters:
  ///   - origins: whose pages may connect; others get 403 as the rejection.
  ///   - malformed: the answer when a connection begins with something that is no HTTP request; a bare 400 by default.
  ///     The connection is closed behind it.
  ///   - upgraded: makes the pipeline's result from an upgraded channel; called on its event loop.
  public init(
    configuration: WebSocketConfiguration = WebSocketConfiguration(), origins: OriginPolicy = .any,
    admit: @escaping Admit, malformed: Malformed? = nil,
    upgraded: @escaping @Sendable (any Channel, WebSocketConnection) -> UpgradeResult
  ) {
    self.malformed = malformed
    self.configuration = Shared(configuration)
    self.origins = origins
    self.admit = admit
    self.upgraded = upgraded
  }

  /// Sets a new channel up for HTTP/1.1 with the upgrade. Must be called on the channel's event loop, behind a TLS
  /// handler where there is one.
  /// - Parameters:
  ///   - leaving: called when a request behind an ordinary one is about to be upgraded: takes out handlers that would
  ///     disturb, such as idle timers. Those that stay hear nothing more but the channel's end, and can't write.
  ///   - notUpgrading: adds the handlers for ordinary requests; they get the first request and all that follow as
  ///     `HTTPServerRequestPart`, and are called on the event loop.
  /// - Returns: what `upgraded` or `notUpgrading` gave, once the first request is known; fails when the connection ends
  ///   before. There is no time-out: the caller sets one. A later upgrade changes nothing about it.
  public func configurePipeline(
    of channel: any Channel,
    leaving: @escaping @Sendable (any Channel) -> EventLoopFuture<Void> = {
      $0.eventLoop.makeSucceededVoidFuture()
    },
    notUpgrading: @escaping @Sendable (any Channel) -> EventLoopFuture<UpgradeResult>
  ) throws -> EventLoopFuture<UpgradeResult> {
    let pipeline = channel.pipeline.syncOperations
    let encoder = HTTPResponseEncoder()
    let decoder = UpgradeHandler<UpgradeResult>.makeDecoder()
    let promise = channel.eventLoop.makePromise(of: UpgradeResult.self)
    do {
      try pipeline.addHandler(encoder)
      try pipeline.addHandler(decoder)
      try pipeline.addHandler(
        UpgradeHandler(
          upgrader: self, encoder: encoder, decoder: decoder, promise: promise, leaving: leaving,
          notUpgrading: notUpgrading))
    } catch {
      promise.fail(error)
      throw error
    }
    return promise.futureResult
  }

  /// What is wrong with the request as an opening handshake: status, code, reason and headers to answer with. Nil: it
  /// would have been upgraded if `admit` had accepted it.
  public func rejection(of request: HTTPRequestHead) -> HandshakeRejection? {
    do throws(HandshakeRejection) {
      _ = try handshake(request)
      return nil
    } catch {
      return error
    }
  }

  func handshake(_ request: HTTPRequestHead) throws(HandshakeRejection) -> ServerHandshake {
    try ServerHandshake(RequestHead(request), deflate: configuration.value.compression, origins: origins)
  }

  /// The 101 is out and HTTP is gone: puts the connection's handler in place.
  func upgrade(
    _ channel: any Channel, _ pending: PendingUpgrade, before neighbour: any ChannelHandler
  ) throws -> (UpgradeResult, WebSocketChannelHandler) {
    let connection = WebSocketConnection(
      eventLoop: channel.eventLoop, remoteAddress: channel.remoteAddress, subprotocol: pending.subprotocol,
      compression: pending.deflate)
    try channel.syncOptions?.setOption(.recvAllocator, value: WebSocketServer.receiveAllocator)
    let handler = WebSocketChannelHandler(
      role: .server, configuration: configuration, limits: pending.limits, connection: connection,
      resources: loops.resources(for: channel.eventLoop), session: pending.session())
    try channel.pipeline.syncOperations.addHandler(handler, position: .before(neighbour))
    return (upgraded(channel, connection), handler)
  }
}

/// What was decided about a request, until its 101 is out.
struct PendingUpgrade: Sendable {
  let session: @Sendable () -> any WebSocketSession
  let subprotocol: String?
  let deflate: DeflateAgreement?
  let responseHeaders: HTTPHeaders
  let limits: Limits?

  init(
    session: @escaping @Sendable () -> any WebSocketSession, handshake: ServerHandshake, subprotocol: String?,
    additional: HTTPHeaders, limits: Limits?
  ) {
    self.session = session
    self.limits = limits
    self.subprotocol = subprotocol.flatMap { handshake.subprotocol(among: [$0]) }
    deflate = handshake.deflate
    let response = handshake.response(subprotocol: self.subprotocol)
    var headers = HTTPHeaders(response.fields.map { ($0.name, $0.value) })
    headers.add(contentsOf: additional)
    responseHeaders = headers
  }
}

extension RequestHead {
  /// From NIO's head.
  init(_ head: HTTPRequestHead) {
    self.init(
      method: head.method.rawValue, target: head.uri, minorVersion: head.version.major == 1 ? head.version.minor : 0,
      fields: head.headers.map { HTTPField($0.name, $0.value) })
  }
}
