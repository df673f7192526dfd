import CZlib

/// Unpacks one raw deflate stream (RFC 1951). Not for use by two threads at once.
final class Inflater {
  enum Status { case needsInput, ended }

  private let stream: UnsafeMutablePointer<z_stream>
  private var output = [UInt8](repeating: 0, count: 128 * 1024)

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

  /// Unpacks what `input` holds and hands it on in pieces of up to 128 KiB.
  ///
  /// - Returns: whether the stream ended, and how many bytes of the input were left over then; nil when the data is
  ///   damaged.
  func inflate(
    _ input: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws -> Void
  ) throws -> (status: Status, rest: Int)? {
    // zlib takes a pointer to mutable bytes for historical reasons and never writes to its input.
    stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
    stream.pointee.avail_in = UInt32(input.count)
    while true {
      let code = output.withUnsafeMutableBufferPointer { buffer in
        stream.pointee.next_out = buffer.baseAddress
        stream.pointee.avail_out = UInt32(buffer.count)
        return CZlib.inflate(stream, Z_NO_FLUSH)
      }
      let produced = output.count - Int(stream.pointee.avail_out)
      if produced > 0 { try output.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[..<produced])) } }
      switch code {
      case Z_STREAM_END: return (.ended, Int(stream.pointee.avail_in))
      case Z_OK where stream.pointee.avail_out == 0: continue
      case Z_OK where stream.pointee.avail_in == 0, Z_BUF_ERROR: return (.needsInput, 0)
      case Z_OK: continue
      case Z_MEM_ERROR: throw CompressionFailure(code: code)
      default: return nil
      }
    }
  }
}
