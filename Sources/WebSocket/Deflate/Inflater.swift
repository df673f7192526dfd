import CZlib

/// One decompressor (RFC 7692 §7.2.2). Not thread-safe: it belongs to one connection or, for the length of a message,
/// to one that borrowed it.
///
/// It always has the largest window, whatever the peer promised for its own: zlib would find a match that reaches too
/// far back only where a call's output ends in between, so that it would depend on how the octets arrived whether a
/// message is taken.
final class Inflater {
  // zlib keeps a pointer back to the stream, so it must not move.
  private let stream: UnsafeMutablePointer<z_stream>

  init() throws(ProtocolFailure) {
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    guard aitbc_inflate_init(stream, -15) == Z_OK else {
      stream.deallocate()
      throw .outOfMemory
    }
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
  }

  /// Forgets all earlier messages.
  func reset() { inflateReset(stream) }

  /// Inflates a piece of a message; what comes out goes to `sink` in pieces of at most `scratch.count` octets, so the
  /// sink can stop a bomb early.
  func inflate(
    _ input: UnsafeRawBufferPointer, scratch: UnsafeMutableRawBufferPointer,
    sink: (UnsafeRawBufferPointer) throws(ProtocolFailure) -> Void
  ) throws(ProtocolFailure) {
    guard input.count > 0 else { return }
    stream.pointee.next_in = UnsafeMutablePointer(mutating: input.assumingMemoryBound(to: UInt8.self).baseAddress)
    stream.pointee.avail_in = UInt32(input.count)
    defer {
      stream.pointee.next_in = nil
      stream.pointee.next_out = nil
    }
    while true {
      stream.pointee.next_out = scratch.assumingMemoryBound(to: UInt8.self).baseAddress
      stream.pointee.avail_out = UInt32(scratch.count)
      let status = CZlib.inflate(stream, Z_SYNC_FLUSH)
      let produced = scratch.count - Int(stream.pointee.avail_out)
      if produced > 0 { try sink(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(scratch)[..<produced])) }
      switch status {
      case Z_OK:
        // Room left in the output means that the input is used up.
        if stream.pointee.avail_out > 0 { return }
      case Z_BUF_ERROR:
        return
      case Z_STREAM_END:
        // §7.2.3.4: a block with BFINAL ends zlib's stream but not the message, and the window stays.
        inflateResetKeep(stream)
        if stream.pointee.avail_in == 0 { return }
      case Z_MEM_ERROR:
        throw .outOfMemory
      default:
        throw .invalidDeflate
      }
    }
  }

  /// Ends a message: appends the four octets that the sender left out.
  func finish(
    scratch: UnsafeMutableRawBufferPointer, sink: (UnsafeRawBufferPointer) throws(ProtocolFailure) -> Void
  ) throws(ProtocolFailure) {
    let tail = UInt32(bigEndian: 0x0000_FFFF)
    try withUnsafeBytes(of: tail) { bytes throws(ProtocolFailure) in try inflate(bytes, scratch: scratch, sink: sink) }
    // Bit 7 of data_type: zlib stands between two blocks. Else the message was cut inside one.
    guard stream.pointee.data_type & 128 != 0 else { throw .invalidDeflate }
  }
}
