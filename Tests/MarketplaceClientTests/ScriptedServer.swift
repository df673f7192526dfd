import NIOCore
import NIOPosix
import Synchronization

/// A TCP server that says what it is told to, octet by octet: what an HTTP server should not do can be tried too.
final class ScriptedServer: Sendable {
  enum Action: Sendable {
    case send(String)
    /// So many octets, as fast as they are taken.
    case pour(Int)
    case close
    /// Reads nothing any more.
    case stopReading
  }

  /// The number of the connection, from 1, and all that it has sent so far; called at each piece.
  typealias Script = @Sendable (Int, String) -> [Action]

  let port: Int
  private let channel: any Channel
  private let connections: Counter

  final class Counter: Sendable {
    let opened = Mutex(0)
    let closed = Mutex(0)
    let poured = Mutex(0)
  }

  private init(_ channel: any Channel, _ connections: Counter) {
    self.channel = channel
    self.connections = connections
    port = channel.localAddress?.port ?? 0
  }

  var url: String { "http://127.0.0.1:\(port)" }
  var opened: Int { connections.opened.withLock { $0 } }
  var closed: Int { connections.closed.withLock { $0 } }
  /// Octets of ``Action/pour(_:)`` that the sockets have taken.
  var poured: Int { connections.poured.withLock { $0 } }

  static func with(_ script: @escaping Script, _ body: (ScriptedServer) async throws -> Void) async throws {
    let counter = Counter()
    let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .childChannelOption(.allowRemoteHalfClosure, value: false)
      .childChannelInitializer { child in
        child.eventLoop.makeCompletedFuture {
          try child.pipeline.syncOperations.addHandler(ScriptHandler(script, counter))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    do {
      try await body(ScriptedServer(channel, counter))
    } catch {
      try? await channel.close()
      throw error
    }
    try await channel.close()
  }
}

private final class ScriptHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let script: ScriptedServer.Script
  private let counter: ScriptedServer.Counter
  private var number = 0
  private var received = ""

  init(_ script: @escaping ScriptedServer.Script, _ counter: ScriptedServer.Counter) {
    self.script = script
    self.counter = counter
  }

  func channelActive(context: ChannelHandlerContext) {
    number = counter.opened.withLock { count in
      count += 1
      return count
    }
  }

  func channelInactive(context: ChannelHandlerContext) { counter.closed.withLock { $0 += 1 } }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    received += String(buffer: unwrapInboundIn(data))
    for action in script(number, received) { run(action, context) }
  }

  private func run(_ action: ScriptedServer.Action, _ context: ChannelHandlerContext) {
    switch action {
    case .send(let text):
      received = ""
      context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
    case .pour(let count): pour(count, context)
    case .close: context.close(promise: nil)
    case .stopReading: context.channel.setOption(.autoRead, value: false).whenFailure { _ in }
    }
  }

  private func pour(_ count: Int, _ context: ChannelHandlerContext) {
    guard count > 0 else { return }
    let size = min(count, 64 << 10)
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    context.writeAndFlush(wrapOutboundOut(ByteBuffer(repeating: 120, count: size))).whenSuccess { [counter] in
      counter.poured.withLock { $0 += size }
      bound.value.0.pour(count - size, bound.value.1)
    }
  }
}
