import CZlib

/// One compressor (RFC 7692 §7.2.1). Not thread-safe: it belongs to one connection or to one event loop.
final class Deflater {
  let windowBits: Int
  // zlib keeps a pointer back to the stream, so it must not move.
  private let stream: UnsafeMutablePointer<z_stream>

  /// - Parameter windowBits: 8 to 15. zlib has no raw window of 8 bits; its matches with 9 reach back 250 octets at most
  ///   (512 less MIN_LOOKAHEAD, 262), so such a stream also suits a receiver with a window of 256.
  init(windowBits: Int) throws(ProtocolFailure) {
    self.windowBits = windowBits
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    guard aitbc_deflate_init(stream, Z_DEFAULT_COMPRESSION, -Int32(max(windowBits, 9)), 8) == Z_OK else {
      stream.deallocate()
      throw .outOfMemory
    }
  }

  deinit {
    deflateEnd(stream)
    stream.deallocate()
  }

  /// Forgets all earlier messages.
  func reset() { deflateReset(stream) }

  /// The payload of a compressed message: flushed to an octet boundary, without the last four octets 00 00 FF FF.
  func compress(_ payload: UnsafeRawBufferPointer) throws(ProtocolFailure) -> [UInt8] {
    // §7.2.3.6: an empty message is one empty block. (zlib gives nothing for a second flush in a row.)
    guard payload.count > 0 else { return [0] }
    guard payload.count <= Int(UInt32.max) else { throw .messageTooLarge }
    stream.pointee.next_in = UnsafeMutablePointer(mutating: payload.assumingMemoryBound(to: UInt8.self).baseAddress)
    stream.pointee.avail_in = UInt32(payload.count)
    defer { stream.pointee.next_in = nil }
    // The bound covers the stream; the flush adds at most a few octets, and the loop below whatever is left.
    var room = Int(deflateBound(stream, UInt(payload.count))) + 16
    var output: [UInt8] = []
    repeat {
      let size = min(room, Int(UInt32.max))
      let piece = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
        stream.pointee.next_out = buffer.baseAddress
        stream.pointee.avail_out = UInt32(size)
        deflate(stream, Z_SYNC_FLUSH)
        count = size - Int(stream.pointee.avail_out)
      }
      if output.isEmpty { output = piece } else { output += piece }
      room = 4096
    } while stream.pointee.avail_out == 0
    stream.pointee.next_out = nil
    output.removeLast(4)
    return output
  }
}
