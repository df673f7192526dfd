import Cryptography
import NIOCore
import Synchronization
import WebSocket

/// One connection, for both roles: octets to the state machine, events to the session, frames to the socket. What it
/// stands on is its ``Carrier``. Everything here runs on the connection's event loop.
final class WebSocketEndpoint: DeadlineHolder {
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
  /// From the start to the end of the connection.
  private(set) var carrier: (any Carrier)?
  var outbound = OutboundQueue()
  /// The socket, when a group may write to it behind this endpoint's back; -1: never.
  private(set) var laneSocket: CInt = -1
  /// Its place in a group.
  var seat: BroadcastGroup.Seat?
  var wheelPosition = DeadlineWheel.Position()
  /// A ping is out, with ``pingNumber`` as its payload, and its pong has not come.
  var awaitsPong = false
  var pingNumber: UInt8 = 0
  /// When octets came last, or could come again after a pause.
  var lastArrival = NIODeadline.distantPast
  /// Where the latest ping stands among all bytes sent; 0 when nothing stood before it.
  var pingPosition: Int64 = 0
  /// What the peer's kernel had taken when it was last looked at.
  var bytesTaken: Int64 = 0
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

  // MARK: From the carrier

  /// The connection begins.
  /// - Parameters:
  ///   - socket: what may be written to directly; nil: everything goes through the carrier.
  ///   - isOwned: the socket is closed by nobody but the carrier.
  func start(on carrier: any Carrier, socket: NIOBSDSocket.Handle?, isOwned: Bool = false) {
    self.carrier = carrier
    connection.attach(self)
    outbound.socket = socket
    if isOwned, let socket { laneSocket = socket }
    if let pingInterval = configuration.pingInterval { setDeadline(after: pingInterval) }
    session?.connected(connection)
  }

  /// Octets of the peer.
  func received(_ octets: UnsafeRawBufferPointer) {
    lastArrival = resources.eventLoop.now
    guard isReading, held == nil else { return hold(octets) }
    let taken = receive(octets)
    if taken < octets.count { hold(UnsafeRawBufferPointer(rebasing: octets[taken...])) }
  }

  /// The peer sends nothing more: what it sent before still counts.
  func inputEnded() {
    isReading = true
    receiveHeld()
    held = nil
    guard isLive else { return }
    finish(WebSocketCloseReason(cause: .connectionLost, code: .abnormal, reason: lostBecause))
  }

  /// The transport failed.
  func lost(_ reason: String) {
    lostBecause = reason
    abort(WebSocketCloseReason(cause: .connectionLost, code: .abnormal, reason: reason))
  }

  /// The server is stopping.
  func quiesce() {
    if case .open = stage { session?.quiescing() }
    if case .open = stage { close(CloseStatus(.goingAway, reason: "the server is stopping")) }
  }

  /// The socket is gone. Always the last call.
  func carrierEnded() {
    finish(WebSocketCloseReason(cause: .connectionLost, code: .abnormal, reason: lostBecause))
    stage = .closed
    resources.wheel.set(nil, for: self)
    outbound.clear()
    dropLaneSocket()
    seat?.group.remove(self)
    connection.attach(nil)
    carrier = nil
  }

  func dropLaneSocket() { laneSocket = -1 }

  // MARK: Reading

  /// Hands octets to the machine, event by event, so that what a session sends in answer to one goes out before what the
  /// machine sends for the next. Stops between two events when reading is paused. Returns how many were taken.
  private func receive(_ octets: UnsafeRawBufferPointer) -> Int {
    guard isLive else { return octets.count }
    let now = resources.eventLoop.now.uptimeNanoseconds
    var input = octets
    while let event = machine.next(&input, at: now) {
      handle(event)
      if !isReading { return octets.count - input.count }
    }
    return octets.count
  }

  private func hold(_ octets: UnsafeRawBufferPointer) {
    if held == nil { held = ByteBuffer() }
    held?.writeBytes(octets)
  }

  private func receiveHeld() {
    guard var buffer = held else { return }
    held = nil
    buffer.readWithUnsafeReadableBytes { receive($0) }
    if buffer.readableBytes > 0 { held = buffer }
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
    case .pong(let payload): if payload == [pingNumber] { awaitsPong = false }
    case .close(let status, let reply): closeReceived(status, reply: reply)
    case .failure(let failure, let notice): failed(failure, notice: notice)
    }
  }

  func setReading(_ reads: Bool) {
    guard reads != isReading, let carrier else { return }
    isReading = reads
    guard reads else { return carrier.setReading(false) }
    lastArrival = resources.eventLoop.now
    receiveHeld()
    if isReading { carrier.setReading(true) }
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
}

/// One copy of a large value for many connections.
final class Shared<Value: Sendable>: Sendable {
  let value: Value

  init(_ value: Value) { self.value = value }
}
