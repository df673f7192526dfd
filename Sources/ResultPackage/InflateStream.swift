import CZlib

/// One of zlib's inflate streams over raw deflate data (RFC 1951). Not for use by two threads at once.
final class InflateStream {
  // zlib keeps a pointer back to the stream, so it must not move.
  private let stream: UnsafeMutablePointer<z_stream>

  init() throws {
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    let code = aitbc_inflate_init(stream, -15)
    guard code == Z_OK else {
      stream.deallocate()
      throw CompressionFailure(code: code)
    }
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
  }

  /// What one step did.
  struct Step {
    /// Bytes that came out.
    let produced: Int
    /// Bytes of the input that are still to be taken.
    let rest: Int
    /// The stream's last byte is out.
    let isEnd: Bool
    /// Nothing could be done: there was no input, or no room.
    let isStuck: Bool
  }

  /// Takes from the front of `input` and fills the front of `output`. Nil when the data is damaged.
  func step(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) throws -> Step? {
    // zlib takes a pointer to mutable bytes for historical reasons and never writes to its input.
    stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
    stream.pointee.avail_in = UInt32(input.count)
    stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
    stream.pointee.avail_out = UInt32(output.count)
    defer {
      stream.pointee.next_in = nil
      stream.pointee.next_out = nil
    }
    let code = CZlib.inflate(stream, Z_NO_FLUSH)
    if code == Z_MEM_ERROR { throw CompressionFailure(code: code) }
    guard code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR else { return nil }
    return Step(
      produced: output.count - Int(stream.pointee.avail_out), rest: Int(stream.pointee.avail_in),
      isEnd: code == Z_STREAM_END, isStuck: code == Z_BUF_ERROR)
  }
}
