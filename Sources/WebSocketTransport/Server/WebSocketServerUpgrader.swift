public import NIOCore
public import NIOHTTP1
public import WebSocket

/// Turns HTTP/1.1 requests into WebSocket connections, in a pipeline made by `configureUpgradableHTTPServerPipeline`.
/// One upgrader serves any number of channels. The typed upgrade of NIO looks at a connection's first request only.
///
/// A request that breaks a rule of the handshake, or that `admit` refuses, is not upgraded: it goes on as an ordinary
/// request, and the HTTP side answers. `rejection(of:)` says what to answer where the handshake is at fault.
public final class WebSocketServerUpgrader<UpgradeResult: Sendable>: NIOTypedHTTPServerProtocolUpgrader {
  /// Decides about a request that has passed the handshake's rules. May take its time: it returns a future.
  public typealias Admit = @Sendable (HTTPRequestHead, any Channel) -> EventLoopFuture<WebSocketAdmission>

  public var supportedProtocol: String { "websocket" }
  /// None: the rules are checked here, with reasons.
  public var requiredUpgradeHeaders: [String] { [] }

  private let configuration: WebSocketConfiguration
  private let origins: OriginPolicy
  private let admit: Admit
  private let upgraded: @Sendable (any Channel, WebSocketConnection) -> UpgradeResult
  private let loops = LoopResourcesMap()

  /// - Parameters:
  ///   - origins: whose pages may connect; others get 403 as the rejection.
  ///   - upgraded: makes the pipeline's result from an upgraded channel; called on its event loop.
  public init(
    configuration: WebSocketConfiguration = WebSocketConfiguration(), origins: OriginPolicy = .any,
    admit: @escaping Admit, upgraded: @escaping @Sendable (any Channel, WebSocketConnection) -> UpgradeResult
  ) {
    self.configuration = configuration
    self.origins = origins
    self.admit = admit
    self.upgraded = upgraded
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

  private func handshake(_ request: HTTPRequestHead) throws(HandshakeRejection) -> ServerHandshake {
    try ServerHandshake(RequestHead(request), deflate: configuration.compression, origins: origins)
  }

  public func buildUpgradeResponse(
    channel: any Channel, upgradeRequest: HTTPRequestHead, initialResponseHeaders: HTTPHeaders
  ) -> EventLoopFuture<HTTPHeaders> {
    let handshake: ServerHandshake
    do throws(HandshakeRejection) {
      handshake = try self.handshake(upgradeRequest)
    } catch {
      return channel.eventLoop.makeFailedFuture(error)
    }
    return admit(upgradeRequest, channel).hop(to: channel.eventLoop).flatMapThrowing { admission in
      guard case .accept(let session, let additional, let subprotocol) = admission else {
        throw WebSocketUpgradeRefused()
      }
      let chosen = subprotocol.flatMap { handshake.subprotocol(among: [$0]) }
      let pending = PendingUpgrade(session: session, subprotocol: chosen, deflate: handshake.deflate)
      try channel.pipeline.syncOperations.addHandler(pending)
      var headers = initialResponseHeaders
      for field in handshake.responseFields(subprotocol: chosen) { headers.replaceOrAdd(name: field.name, value: field.value) }
      headers.add(contentsOf: additional)
      return headers
    }
  }

  public func upgrade(channel: any Channel, upgradeRequest: HTTPRequestHead) -> EventLoopFuture<UpgradeResult> {
    channel.eventLoop.makeCompletedFuture {
      let pipeline = channel.pipeline.syncOperations
      let pending = try pipeline.handler(type: PendingUpgrade.self)
      pipeline.removeHandler(pending, promise: nil)
      let connection = WebSocketConnection(
        eventLoop: channel.eventLoop, remoteAddress: channel.remoteAddress, subprotocol: pending.subprotocol,
        compression: pending.deflate)
      // Most connections receive little: small buffers to begin with keep an idle one small.
      try channel.syncOptions?.setOption(
        .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 512, initial: 512, maximum: 64 << 10))
      let handler = WebSocketChannelHandler(
        role: .server, configuration: configuration, connection: connection,
        resources: loops.resources(for: channel.eventLoop), session: pending.session())
      try pipeline.addHandler(handler)
      return upgraded(channel, connection)
    }
  }
}

/// `admit` refused: not an error, the request goes down the HTTP path.
struct WebSocketUpgradeRefused: Error {}

/// Carries what was decided when the 101 was built to the moment when it has been sent. Dies with its pipeline.
private final class PendingUpgrade: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = NIOAny

  let session: @Sendable () -> any WebSocketSession
  let subprotocol: String?
  let deflate: DeflateAgreement?

  init(session: @escaping @Sendable () -> any WebSocketSession, subprotocol: String?, deflate: DeflateAgreement?) {
    self.session = session
    self.subprotocol = subprotocol
    self.deflate = deflate
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
