import Cryptography
import NIOCore
import NIOSSL
import Synchronization
import WebSocket

/// The last handler of an upgraded channel, for both roles: octets to the state machine, events to the session, frames
/// to the socket. Everything here runs on the channel's event loop.
final class WebSocketChannelHandler: ChannelDuplexHandler, DeadlineHolder {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  /// Where the connection is on its way from the handshake to the closed socket.
  enum Stage {
    case open
    /// Our close frame is out; the deadline is `closeTimeout`.
    case closing(CloseStatus)
    /// The session has been told. What is queued still goes out, what arrives is discarded until the peer closes or the
    /// deadline comes.
    case ending
    case closed
  }

  var configuration: WebSocketConfiguration { shared.value }
  private let shared: Shared<WebSocketConfiguration>
  let connection: WebSocketConnection
  let resources: LoopResources
  var machine: ConnectionMachine
  var stage = Stage.open
  var context: ChannelHandlerContext?
  var outbound = OutboundQueue()
  var wheelPosition = DeadlineWheel.Position()
  /// A ping is out and nothing has arrived since.
  var awaitsPong = false
  /// The next keepalive deadline sends a ping; else it looks for the answer to one.
  var isPingDue = true
  /// The peer broke the protocol.
  var hasFailed = false
  /// Sending has been shut down, or TCP closed.
  var hasShutDown = false
  var isReading = true
  /// Octets that arrived while reading was paused.
  private var held: ByteBuffer?
  private var session: (any WebSocketSession)?
  private var lostBecause = ""

  init(
    role: Role, configuration: Shared<WebSocketConfiguration>, limits: Limits? = nil,
    connection: WebSocketConnection, resources: LoopResources, session: any WebSocketSession
  ) {
    shared = configuration
    self.connection = connection
    self.resources = resources
    self.session = session
    machine = ConnectionMachine(
      role: role, limits: limits ?? configuration.value.limits, deflate: connection.compression,
      threshold: configuration.value.compression?.threshold ?? 0, pool: resources.pool,
      maskingKeys: {
        var random = SecureRandom()
        return MaskingKey(UInt32(truncatingIfNeeded: random.next()))
      })
  }

  // MARK: Channel

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    connection.attach(self)
    if configuration.sendsDirectly, !usesTLS(context) {
      outbound.socket = try? context.channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
        of: NIOBSDSocket.Handle.self
      ) { $0 }
    }
    if let pingInterval = configuration.pingInterval { setDeadline(after: pingInterval) }
    session?.connected(connection)
  }

  func handlerRemoved(context: ChannelHandlerContext) { channelEnded() }

  func channelInactive(context: ChannelHandlerContext) {
    endOfInput()
    channelEnded()
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    lostBecause = "\(error)"
    abort(WebSocketCloseReason(cause: .connectionLost, code: .abnormal, reason: lostBecause))
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    switch event {
    case let event as ChannelEvent where event == .inputClosed:
      // A WebSocket peer that will send nothing more cannot even close: the connection is over (pitfall: with half
      // closure allowed NIO would leave the channel open for ever).
      endOfInput()
      closeChannel()
    case is ChannelShouldQuiesceEvent:
      if case .open = stage { session?.quiescing() }
      if case .open = stage { close(CloseStatus(.goingAway, reason: "the server is stopping")) }
    default:
      context.fireUserInboundEventTriggered(event)
    }
  }

  /// Whoever closes the channel: from here on the socket's number may belong to another connection.
  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    outbound.socket = nil
    context.close(mode: mode, promise: promise)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    awaitsPong = false
    var buffer = unwrapInboundIn(data)
    guard isReading, held == nil else {
      if held == nil { held = buffer } else { held?.writeBuffer(&buffer) }
      return
    }
    receive(&buffer)
    if buffer.readableBytes > 0 { held = buffer }
  }

  // MARK: Reading

  /// Hands octets to the machine, event by event, so that what a session sends in answer to one goes out before what the
  /// machine sends for the next. Stops between two events when reading is paused.
  private func receive(_ buffer: inout ByteBuffer) {
    guard isLive else {
      buffer.clear()
      return
    }
    let now = resources.eventLoop.now.uptimeNanoseconds
    var isPaused = false
    buffer.readWithUnsafeReadableBytes { octets in
      var input = octets
      while let event = machine.next(&input, at: now) {
        handle(event)
        if !isReading {
          isPaused = true
          break
        }
      }
      return isPaused ? octets.count - input.count : octets.count
    }
  }

  private var isLive: Bool {
    switch stage {
    case .open, .closing: true
    case .ending, .closed: false
    }
  }

  private func handle(_ event: Event) {
    switch event {
    case .text(let bytes): session?.received(text: ByteBuffer(bytes: bytes))
    case .binary(let bytes): session?.received(binary: ByteBuffer(bytes: bytes))
    case .ping(_, let reply): enqueue(ByteBuffer(bytes: reply))
    case .pong: break
    case .close(let status, let reply): closeReceived(status, reply: reply)
    case .failure(let failure, let notice): failed(failure, notice: notice)
    }
  }

  func setReading(_ reads: Bool) {
    guard reads != isReading, let context else { return }
    isReading = reads
    try? context.channel.syncOptions?.setOption(.autoRead, value: reads)
    guard reads, var buffer = held else { return }
    held = nil
    receive(&buffer)
    if buffer.readableBytes > 0 { held = buffer }
    if isReading { context.read() }
  }

  /// The peer sends nothing more: what it sent before still counts.
  private func endOfInput() {
    isReading = true
    if var buffer = held {
      held = nil
      receive(&buffer)
    }
    guard isLive else { return }
    finish(WebSocketCloseReason(cause: .connectionLost, code: .abnormal, reason: lostBecause))
  }

  // MARK: The session

  func writabilityChanged(_ isWritable: Bool) { session?.writabilityChanged(isWritable) }

  /// Tells the session, once.
  func finish(_ reason: WebSocketCloseReason) {
    guard isLive else { return }
    stage = .ending
    machine.finishReading()
    held = nil
    let session = self.session
    self.session = nil
    session?.closed(reason)
  }

  private func channelEnded() {
    finish(WebSocketCloseReason(cause: .connectionLost, code: .abnormal, reason: lostBecause))
    stage = .closed
    resources.wheel.set(nil, for: self)
    outbound.clear()
    connection.attach(nil)
    context = nil
  }

  private func usesTLS(_ context: ChannelHandlerContext) -> Bool {
    (try? context.channel.pipeline.syncOperations.context(handlerType: NIOSSLHandler.self)) != nil
  }
}

/// One copy of a large value for many connections.
final class Shared<Value: Sendable>: Sendable {
  let value: Value

  init(_ value: Value) { self.value = value }
}
