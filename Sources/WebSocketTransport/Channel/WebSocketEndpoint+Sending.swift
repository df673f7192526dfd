import NIOCore
import Synchronization
import WebSocket

extension WebSocketEndpoint {
  func send(_ kind: MessageKind, _ payload: UnsafeRawBufferPointer) {
    guard carrier != nil, let frame = machine.prepare(kind, payload) else { return }
    var buffer = ByteBuffer()
    buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: frame.size) { frame.write(payload, to: $0) }
    enqueue(buffer)
  }

  func send(_ frame: EncodedFrame) {
    guard carrier != nil, machine.phase == .open else { return }
    guard machine.role == .server else {
      // A client masks each frame with a key of its own, so nothing can be shared.
      for part in frame.parts { part.payload.withUnsafeReadableBytes { send(part.kind, $0) } }
      return
    }
    if machine.deflate != nil, machine.admitsSharedCompression(payloadLength: frame.longestPayload) {
      enqueue(frame.compressed(threshold: machine.threshold, pool: resources.pool))
    } else {
      enqueue(frame.plain)
    }
  }

  func ping(_ payload: [UInt8]) {
    if let octets = machine.ping(payload) { enqueue(ByteBuffer(bytes: octets)) }
  }

  /// Queues octets for the end of this turn of the loop.
  func enqueue(_ buffer: ByteBuffer) {
    guard carrier != nil else { return }
    if !outbound.hasCorked {
      resources.flushSoon(self)
      seat?.group.block(self)
    }
    outbound.append(buffer)
    guard outbound.totalBytes <= configuration.maximumBufferedBytes else {
      abort(
        WebSocketCloseReason(cause: .outboundLimit, code: .abnormal, reason: "the peer does not read what it is sent"))
      return
    }
    updateWritability()
  }

  /// Writes what is queued: to the socket, and the rest through the carrier.
  func flush() {
    guard outbound.hasCorked, let carrier else { return }
    if !carrier.isActive { outbound.socket = nil }
    let rest = outbound.drain(using: resources)
    if rest.isEmpty { seat?.group.unblock(self) } else { carrier.write(rest) }
    updateWritability()
  }

  /// A group has written the first `count` octets of a frame to the socket, which took no more.
  func wrote(_ count: Int, of frame: ByteBuffer) {
    guard let carrier else { return }
    seat?.group.block(self)
    carrier.write(outbound.handOn(frame, after: count))
    updateWritability()
  }

  /// The carrier has written, or given up on, this much.
  func written(_ bytes: Int) {
    outbound.completed(bytes)
    if outbound.totalBytes == 0 { seat?.group.unblock(self) }
    updateWritability()
    if case .ending = stage, outbound.totalBytes == 0 { allSent() }
  }

  private func updateWritability() {
    let bytes = outbound.totalBytes
    connection.bytes.store(bytes, ordering: .relaxed)
    let wasWritable = connection.writable.load(ordering: .relaxed)
    let isWritable = wasWritable ? bytes < configuration.highWatermark : bytes <= configuration.lowWatermark
    guard isWritable != wasWritable else { return }
    connection.writable.store(isWritable, ordering: .relaxed)
    writabilityChanged(isWritable)
  }
}
