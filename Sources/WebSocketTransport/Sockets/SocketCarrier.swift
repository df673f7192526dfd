import CEpoll
import DequeModule
import NIOCore

/// Carries an endpoint on a socket of its own that a ``SocketLoop`` watches. In place of a NIO channel, with
/// which a connection costs twice the memory.
final class SocketCarrier: Carrier {
  let socket: CInt
  private unowned let loop: SocketLoop
  private let endpoint: WebSocketEndpoint
  private let set: SocketSet
  /// What the socket did not take.
  private var backlog = Deque<ByteBuffer>()
  private(set) var interest = EPOLLIN.rawValue
  private(set) var isActive = true

  init(socket: CInt, loop: SocketLoop, endpoint: WebSocketEndpoint, set: SocketSet) {
    self.socket = socket
    self.loop = loop
    self.endpoint = endpoint
    self.set = set
  }

  /// Begins, with what had been read from the socket before. The set has counted it.
  func start(with octets: [ByteBuffer]) {
    guard loop.register(self) else {
      isActive = false
      SystemCalls.close(socket)
      return ended()
    }
    SystemCalls.limitUnsent(socket, to: endpoint.configuration.kernelBacklog)
    endpoint.start(on: self, socket: endpoint.configuration.sendsDirectly ? socket : nil, isOwned: true)
    for buffer in octets { buffer.withUnsafeReadableBytes { endpoint.received($0) } }
    if set.isStopping { endpoint.quiesce() }
  }

  func quiesce(_ set: SocketSet) { if set === self.set { endpoint.quiesce() } }

  private func ended() {
    endpoint.carrierEnded()
    set.closed()
  }

  // MARK: From the loop

  func ready(_ events: UInt32) {
    // A failed socket says so whatever it is watched for; reading tells what it is.
    if events & (EPOLLIN.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 { read() }
    if isActive, events & EPOLLOUT.rawValue != 0 { writeBacklog() }
  }

  private func read() {
    let buffer = loop.readBuffer
    switch SystemCalls.receive(socket, into: buffer) {
    case .bytes(let count): endpoint.received(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    case .nothing: break
    case .failure(let reason): endpoint.lost(reason)
    case .end:
      // A WebSocket peer that will send nothing more cannot even close: the connection is over.
      endpoint.inputEnded()
      endpoint.closeCarrier()
    }
  }

  private func writeBacklog() {
    var written = 0
    while let first = backlog.first {
      let count = first.withUnsafeReadableBytes { SystemCalls.send(socket, $0) }
      guard count >= 0 else { break }
      written += count
      if count == first.readableBytes {
        backlog.removeFirst()
      } else {
        backlog[0].moveReaderIndex(forwardBy: count)
        break
      }
    }
    if backlog.isEmpty {
      backlog = []
      watch(EPOLLOUT.rawValue, false)
    }
    if written > 0 { endpoint.written(written) }
  }

  private func watch(_ event: UInt32, _ isOn: Bool) {
    let wanted = isOn ? interest | event : interest & ~event
    guard isActive, wanted != interest else { return }
    interest = wanted
    loop.update(self)
  }

  // MARK: Carrier

  var progress: SocketProgress? { isActive ? SystemCalls.progress(socket) : nil }

  func write(_ buffers: [ByteBuffer]) {
    guard isActive else { return }
    backlog.append(contentsOf: buffers)
    watch(EPOLLOUT.rawValue, true)
  }

  func setReading(_ reads: Bool) { watch(EPOLLIN.rawValue, reads) }

  func closeOutput() { if isActive { SystemCalls.shutDownSending(socket) } }

  func close() {
    guard isActive else { return }
    isActive = false
    loop.deregister(self)
    SystemCalls.close(socket)
    backlog = []
    // Later: whoever closes may still be in the middle of something.
    let bound = NIOLoopBound(self, eventLoop: loop)
    loop.execute { bound.value.ended() }
  }
}
