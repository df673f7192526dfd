import NIOCore
import Synchronization
import WebSocket

extension WebSocketChannelHandler {
  func send(_ kind: MessageKind, _ payload: UnsafeRawBufferPointer) {
    guard context != nil, let frame = machine.prepare(kind, payload) else { return }
    var buffer = ByteBuffer()
    buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: frame.size) { frame.write(payload, to: $0) }
    enqueue(buffer)
  }

  func send(_ frame: EncodedFrame) {
    guard context != nil, machine.phase == .open else { return }
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
    guard context != nil else { return }
    if !outbound.hasCorked { resources.flushSoon(self) }
    outbound.append(buffer)
    guard outbound.totalBytes <= configuration.maximumBufferedBytes else {
      abort(
        WebSocketCloseReason(cause: .outboundLimit, code: .abnormal, reason: "the peer does not read what it is sent"))
      return
    }
    updateWritability()
  }

  /// Writes what is queued: to the socket, and the rest through NIO.
  func flush() {
    guard outbound.hasCorked, let context else { return }
    if !context.channel.isActive { outbound.socket = nil }
    let rest = outbound.drain(using: resources)
    if !rest.isEmpty { write(rest, context) }
    updateWritability()
  }

  private func write(_ buffers: [ByteBuffer], _ context: ChannelHandlerContext) {
    let bytes = buffers.reduce(0) { $0 + $1.readableBytes }
    let promise = context.eventLoop.makePromise(of: Void.self)
    promise.futureResult.assumeIsolated().whenComplete { _ in self.written(bytes) }
    for buffer in buffers.dropLast() { context.write(wrapOutboundOut(buffer), promise: nil) }
    if let last = buffers.last { context.writeAndFlush(wrapOutboundOut(last), promise: promise) }
  }

  private func written(_ bytes: Int) {
    outbound.completed(bytes)
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
