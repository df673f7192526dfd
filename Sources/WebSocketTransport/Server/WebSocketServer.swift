public import NIOCore
import NIOPosix
public import WebSocket

/// A server that speaks nothing but WebSocket: for tools and tests. Other requests get the status that fits, with the
/// reason as a problem document (RFC 9457).
public final class WebSocketServer: Sendable {
  /// Buffers for what arrives that begin small: NIO keeps one for each channel, and most connections receive little.
  /// Worth setting on accepted channels, before the upgrade, by any server: what the HTTP phase leaves behind in the heap
  /// is what an idle connection costs.
  public static var receiveAllocator: AdaptiveRecvByteBufferAllocator {
    AdaptiveRecvByteBufferAllocator(minimum: 512, initial: 512, maximum: 64 << 10)
  }

  /// Where it listens.
  public let localAddress: SocketAddress
  private let channel: any Channel
  private let children: OpenChannels
  private let upgrader: WebSocketServerUpgrader<Void>

  private init(
    channel: any Channel, localAddress: SocketAddress, children: OpenChannels, upgrader: WebSocketServerUpgrader<Void>
  ) {
    self.channel = channel
    self.localAddress = localAddress
    self.children = children
    self.upgrader = upgrader
  }

  /// The port it listens on.
  public var port: Int { localAddress.port ?? 0 }

  /// Starts to listen.
  /// - Parameters:
  ///   - port: 0 takes a free one.
  ///   - admit: decides about each handshake; refusing gives 403.
  public static func bind(
    host: String = "127.0.0.1", port: Int, eventLoopGroup: any EventLoopGroup,
    configuration: WebSocketConfiguration = WebSocketConfiguration(), origins: OriginPolicy = .any,
    backlog: Int32 = 4096, admit: @escaping WebSocketServerUpgrader<Void>.Admit
  ) async throws -> WebSocketServer {
    let upgrader = WebSocketServerUpgrader<Void>(
      configuration: configuration, origins: origins, admit: admit, upgraded: { _, _ in })
    let children = OpenChannels()
    let channel = try await ServerBootstrap(group: eventLoopGroup)
      .serverChannelOption(.backlog, value: backlog)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelOption(.recvAllocator, value: WebSocketServer.receiveAllocator)
      .childChannelInitializer { child in
        child.eventLoop.makeCompletedFuture {
          children.add(child)
          try Self.configure(child, upgrader)
        }
      }
      .bind(host: host, port: port).get()
    guard let localAddress = channel.localAddress else { throw ChannelError.unknownLocalAddress }
    return WebSocketServer(channel: channel, localAddress: localAddress, children: children, upgrader: upgrader)
  }

  /// Accepts every handshake, with a new session for each.
  public static func bind(
    host: String = "127.0.0.1", port: Int, eventLoopGroup: any EventLoopGroup,
    configuration: WebSocketConfiguration = WebSocketConfiguration(),
    session: @escaping @Sendable () -> any WebSocketSession
  ) async throws -> WebSocketServer {
    try await bind(host: host, port: port, eventLoopGroup: eventLoopGroup, configuration: configuration) {
      $1.eventLoop.makeSucceededFuture(.accept(session: session))
    }
  }

  private static func configure(_ channel: any Channel, _ upgrader: WebSocketServerUpgrader<Void>) throws {
    _ = try upgrader.configurePipeline(of: channel) { channel in
      channel.eventLoop.makeCompletedFuture {
        try channel.pipeline.syncOperations.addHandler(RefusingHandler { upgrader.rejection(of: $0) })
      }
    }
  }

  /// Returns when the server has stopped listening.
  public func wait() async throws { try await channel.closeFuture.get() }

  /// Stops listening and asks every connection to close (`quiescing`, then 1001). Returns when all have gone, which
  /// takes `closeTimeout` at most.
  public func shutdown() async {
    try? await channel.close()
    upgrader.stop()
    await children.quiesce()
    await upgrader.wait()
  }
}
