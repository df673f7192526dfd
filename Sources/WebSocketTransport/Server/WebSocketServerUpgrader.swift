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
  private let sockets = SocketSet()

  /// - Parameters:
  ///   - origins: whose pages may connect; others get 403 as the rejection.
  ///   - malformed: the answer when a connection begins with something that is no HTTP request; a bare 400 by default.
  ///     The connection is closed behind it.
  ///   - upgraded: makes the pipeline's result from an upgraded channel; called on its event loop. A channel whose
  ///     socket leaves it is closed right after; the connection has an event loop of its own then.
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

  /// The 101 is out and HTTP is gone: makes the connection. A plain socket leaves the channel, which is closed then; with
  /// TLS, or where there is no socket, the connection becomes a handler of the channel, before `neighbour`.
  /// - octets: what was read behind the request.
  func upgrade(
    _ channel: any Channel, _ pending: PendingUpgrade, before neighbour: any ChannelHandler, _ octets: [ByteBuffer]
  ) throws -> UpgradeResult {
    if let socket = ownSocket(of: channel) { return leave(channel, with: socket, pending, octets) }
    let connection = WebSocketConnection(
      eventLoop: channel.eventLoop, remoteAddress: channel.remoteAddress, subprotocol: pending.subprotocol,
      compression: pending.deflate)
    try channel.syncOptions?.setOption(.recvAllocator, value: WebSocketServer.receiveAllocator)
    let carrier = ChannelCarrier(endpoint(connection, pending))
    try channel.pipeline.syncOperations.addHandler(carrier, position: .before(neighbour))
    let value = upgraded(channel, connection)
    for buffer in octets { buffer.withUnsafeReadableBytes { carrier.endpoint.received($0) } }
    return value
  }

  /// A number of our own for the channel's socket; nil: it has to stay.
  private func ownSocket(of channel: any Channel) -> CInt? {
    let pipeline = channel.pipeline.syncOperations
    guard configuration.value.leavesChannel, !usesTLS(pipeline),
      let socket = try? pipeline.withUnsafeTransportIfAvailable(
        of: NIOBSDSocket.Handle.self, { SystemCalls.duplicate($0) })
    else { return nil }
    return socket >= 0 ? socket : nil
  }

  private func leave(
    _ channel: any Channel, with socket: CInt, _ pending: PendingUpgrade, _ octets: [ByteBuffer]
  ) -> UpgradeResult {
    let loop = SocketLoops.next()
    let connection = WebSocketConnection(
      eventLoop: loop, remoteAddress: channel.remoteAddress, subprotocol: pending.subprotocol,
      compression: pending.deflate)
    let value = upgraded(channel, connection)
    sockets.opened()
    loop.execute {
      let carrier = SocketCarrier(
        socket: socket, loop: loop, endpoint: self.endpoint(connection, pending), set: self.sockets)
      carrier.start(with: octets)
    }
    return value
  }

  private func endpoint(_ connection: WebSocketConnection, _ pending: PendingUpgrade) -> WebSocketEndpoint {
    WebSocketEndpoint(
      role: .server, configuration: configuration, limits: pending.limits, connection: connection,
      resources: loops.resources(for: connection.eventLoop), session: pending.session())
  }

  // MARK: Connections that have left

  /// Open connections that left their channels.
  public var openSockets: Int { sockets.count }

  /// Tells every connection that has left its channel, and those that leave from now on, that the server stops
  /// (`quiescing`, then 1001).
  public func stop() { sockets.stop() }

  /// Returns when no connection that left its channel is open; after ``stop()`` this takes `closeTimeout` at most.
  public func wait() async { await sockets.wait() }
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
