import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing
import WebSocket

@testable import WebSocketTransport

let loops = MultiThreadedEventLoopGroup.singleton

/// What a session was told, in order; readable from any thread, awaitable.
final class Journal: Sendable {
  enum Entry: Sendable, Equatable {
    case connected
    case text(String)
    case binary(Int)
    case writable(Bool)
    case quiescing
    case closed(WebSocketCloseReason)
  }

  private let stored = NIOLockedValueBox<[Entry]>([])
  private let connections = NIOLockedValueBox<WebSocketConnection?>(nil)
  private let stream: AsyncStream<Entry>
  private let continuation: AsyncStream<Entry>.Continuation

  init() { (stream, continuation) = AsyncStream.makeStream() }

  var entries: [Entry] { stored.withLockedValue { $0 } }
  var connection: WebSocketConnection? { connections.withLockedValue { $0 } }
  var closings: [WebSocketCloseReason] {
    entries.compactMap { if case .closed(let reason) = $0 { reason } else { nil } }
  }

  func add(_ entry: Entry) {
    stored.withLockedValue { $0.append(entry) }
    continuation.yield(entry)
  }

  func open(_ connection: WebSocketConnection) {
    connections.withLockedValue { $0 = connection }
    add(.connected)
  }

  /// Waits for the first entry, new or not yet waited for, that fits.
  @discardableResult
  func first(_ fits: (Entry) -> Bool) async throws -> Entry {
    for await entry in stream where fits(entry) { return entry }
    throw CancellationError()
  }

  @discardableResult
  func closed() async throws -> WebSocketCloseReason {
    guard case .closed(let reason) = try await first({ if case .closed = $0 { true } else { false } }) else {
      throw CancellationError()
    }
    return reason
  }
}

/// Writes everything into a journal; may echo, and may do more when it is told that the server stops.
final class JournalSession: WebSocketSession {
  private let journal: Journal
  private let echoes: Bool
  private let onQuiesce: (WebSocketConnection) -> Void
  private let onText: (WebSocketConnection) -> Void
  private var connection: WebSocketConnection?

  init(
    _ journal: Journal, echoes: Bool = false, onQuiesce: @escaping (WebSocketConnection) -> Void = { _ in },
    onText: @escaping (WebSocketConnection) -> Void = { _ in }
  ) {
    self.journal = journal
    self.echoes = echoes
    self.onQuiesce = onQuiesce
    self.onText = onText
  }

  func connected(_ connection: WebSocketConnection) {
    self.connection = connection
    journal.open(connection)
  }

  func received(text: ByteBuffer) {
    journal.add(.text(String(buffer: text)))
    if let connection { onText(connection) }
    if echoes { connection?.send(text: text) }
  }

  func received(binary: ByteBuffer) {
    journal.add(.binary(binary.readableBytes))
    if echoes { connection?.send(binary: binary) }
  }

  func writabilityChanged(_ isWritable: Bool) { journal.add(.writable(isWritable)) }

  func quiescing() {
    journal.add(.quiescing)
    if let connection { onQuiesce(connection) }
  }

  func closed(_ reason: WebSocketCloseReason) { journal.add(.closed(reason)) }
}

/// A plain TCP peer that says exactly what a test wants.
final class RawPeer: Sendable {
  let channel: any Channel
  private let received: AsyncStream<ByteBuffer>
  private let buffered = NIOLockedValueBox(ByteBuffer())

  private init(channel: any Channel, received: AsyncStream<ByteBuffer>) {
    self.channel = channel
    self.received = received
  }

  static func connect(port: Int, autoRead: Bool = true) async throws -> RawPeer {
    let (stream, continuation) = AsyncStream<ByteBuffer>.makeStream()
    let channel = try await ClientBootstrap(group: loops)
      .channelOption(.allowRemoteHalfClosure, value: true)
      .channelOption(.autoRead, value: autoRead)
      .channelOption(.socketOption(.so_rcvbuf), value: autoRead ? 1 << 20 : 4096)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(Collector(continuation))
        }
      }
      .connect(host: "127.0.0.1", port: port).get()
    return RawPeer(channel: channel, received: stream)
  }

  func send(_ bytes: [UInt8]) async throws { try await channel.writeAndFlush(ByteBuffer(bytes: bytes)) }

  func send(_ text: String) async throws { try await send(Array(text.utf8)) }

  func close() async { try? await channel.close() }

  func closeOutput() async throws { try await channel.close(mode: .output) }

  /// The next `count` bytes; fewer when the peer ends before.
  func read(_ count: Int) async -> [UInt8] {
    while buffered.withLockedValue({ $0.readableBytes }) < count {
      guard let more = await next() else { break }
      buffered.withLockedValue { _ = $0.writeImmutableBuffer(more) }
    }
    return buffered.withLockedValue { $0.readBytes(length: min(count, $0.readableBytes)) ?? [] }
  }

  /// Everything up to the end.
  func readToEnd() async -> [UInt8] { await read(.max) }

  /// The head of the answer.
  func readHead() async -> String {
    var head: [UInt8] = []
    while !head.suffix(4).elementsEqual([13, 10, 13, 10]) {
      let byte = await read(1)
      guard !byte.isEmpty else { break }
      head += byte
    }
    return String(decoding: head, as: UTF8.self)
  }

  private func next() async -> ByteBuffer? {
    for await buffer in received { return buffer }
    return nil
  }

  private final class Collector: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let continuation: AsyncStream<ByteBuffer>.Continuation

    init(_ continuation: AsyncStream<ByteBuffer>.Continuation) { self.continuation = continuation }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { continuation.yield(unwrapInboundIn(data)) }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
      if let event = event as? ChannelEvent, event == .inputClosed { continuation.finish() }
    }

    func channelInactive(context: ChannelHandlerContext) { continuation.finish() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
  }
}

let upgradeRequest = """
  GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n
  """

/// A masked frame of a client, written by hand.
func clientFrame(_ first: UInt8, _ payload: [UInt8] = []) -> [UInt8] {
  let mask: [UInt8] = [1, 2, 3, 4]
  return [first, 0x80 | UInt8(payload.count)] + mask + payload.enumerated().map { $1 ^ mask[$0 % 4] }
}

/// Runs `body` against a server on a free port and stops it afterwards.
func withServer(
  configuration: WebSocketConfiguration = WebSocketConfiguration(), origins: OriginPolicy = .any,
  admit: @escaping WebSocketServerUpgrader<Void>.Admit, _ body: (WebSocketServer) async throws -> Void
) async throws {
  let server = try await WebSocketServer.bind(
    port: 0, eventLoopGroup: loops, configuration: configuration, origins: origins, admit: admit)
  do {
    try await body(server)
  } catch {
    await server.shutdown()
    throw error
  }
  await server.shutdown()
}

func withServer(
  configuration: WebSocketConfiguration = WebSocketConfiguration(),
  session: @escaping @Sendable () -> any WebSocketSession, _ body: (WebSocketServer) async throws -> Void
) async throws {
  try await withServer(
    configuration: configuration, admit: { $1.eventLoop.makeSucceededFuture(.accept(session: session)) }, body)
}
