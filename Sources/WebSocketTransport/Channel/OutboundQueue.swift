import NIOCore
import WebSocket

/// What one connection has to send: buffers of this turn of the event loop, and the count of what its carrier holds.
///
/// Order: the socket is written to directly only while the carrier holds nothing; what the socket does not take goes to
/// the carrier, and everything after it too, until the carrier has written all.
struct OutboundQueue {
  /// Most turns send one buffer; it needs no array.
  private var first: ByteBuffer?
  private var rest: [ByteBuffer] = []
  private(set) var corkedBytes = 0
  private(set) var inFlightBytes = 0
  /// The socket, while it may be written to; the carrier owns it.
  var socket: NIOBSDSocket.Handle?

  var totalBytes: Int { corkedBytes + inFlightBytes }
  var hasCorked: Bool { first != nil }

  mutating func append(_ buffer: ByteBuffer) {
    corkedBytes += buffer.readableBytes
    if first == nil { first = buffer } else { rest.append(buffer) }
  }

  /// Writes what it can; returns what the carrier must write.
  mutating func drain(using resources: LoopResources) -> [ByteBuffer] {
    guard let first else { return [] }
    var written = 0
    if inFlightBytes == 0, let socket {
      written = rest.isEmpty ? Self.send(first, to: socket) : sendMany(first, to: socket, resources: resources)
    }
    let left = written == corkedBytes ? [] : Self.dropping(written, from: [first] + rest)
    inFlightBytes += corkedBytes - written
    self.first = nil
    if !rest.isEmpty { rest = [] }
    corkedBytes = 0
    return left
  }

  /// Hands a frame of which the socket took the first `count` octets to the carrier.
  mutating func handOn(_ frame: ByteBuffer, after count: Int) -> [ByteBuffer] {
    let left = Self.dropping(count, from: [frame])
    inFlightBytes += frame.readableBytes - count
    return left
  }

  /// The carrier has written, or given up on, this much.
  mutating func completed(_ bytes: Int) { inFlightBytes -= bytes }

  /// Forgets what was not handed on.
  mutating func clear() {
    first = nil
    rest = []
    corkedBytes = 0
    socket = nil
  }

  private func sendMany(_ first: ByteBuffer, to socket: NIOBSDSocket.Handle, resources: LoopResources) -> Int {
    guard corkedBytes <= LoopResources.gatherSize else {
      var written = Self.send(first, to: socket)
      guard written == first.readableBytes else { return written }
      for buffer in rest {
        let count = Self.send(buffer, to: socket)
        written += count
        guard count == buffer.readableBytes else { break }
      }
      return written
    }
    let gather = resources.gather
    var offset = 0
    func put(_ buffer: ByteBuffer) {
      buffer.withUnsafeReadableBytes { bytes in
        UnsafeMutableRawBufferPointer(rebasing: gather[offset...]).copyMemory(from: bytes)
        offset += bytes.count
      }
    }
    put(first)
    for buffer in rest { put(buffer) }
    return Self.send(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(gather)[..<offset]), to: socket)
  }

  private static func dropping(_ count: Int, from buffers: [ByteBuffer]) -> [ByteBuffer] {
    var left = count
    var remaining: [ByteBuffer] = []
    for var buffer in buffers {
      let skipped = min(left, buffer.readableBytes)
      left -= skipped
      buffer.moveReaderIndex(forwardBy: skipped)
      if buffer.readableBytes > 0 { remaining.append(buffer) }
    }
    return remaining
  }

  private static func send(_ buffer: ByteBuffer, to socket: NIOBSDSocket.Handle) -> Int {
    buffer.withUnsafeReadableBytes { send($0, to: socket) }
  }

  /// One send(2). Errors count as nothing written: the carrier will meet them and close.
  @inline(__always)
  static func send(_ bytes: UnsafeRawBufferPointer, to socket: NIOBSDSocket.Handle) -> Int {
    max(SystemCalls.send(socket, bytes), 0)
  }
}
