import CZlib

/// zlib refused to work: out of memory, or not the version it was built for.
public struct CompressionFailure: Error, Equatable, Sendable {
  /// zlib's return code.
  public let code: Int32
}

/// Compresses pieces of a file so that their concatenation is one raw deflate stream (RFC 1951).
///
/// Each piece is compressed by itself, with the 32 KiB before it as a dictionary. So the bytes depend on the data
/// alone, not on how many threads work on it. Not for use by two threads at once.
final class Deflater {
  /// How far deflate looks back.
  static let windowSize = 32 * 1024
  private let stream: UnsafeMutablePointer<z_stream>

  init(level: Int32 = 6) throws {
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    let code = aitbc_deflate_init(stream, level, -15, 8)
    guard code == Z_OK else {
      stream.deallocate()
      throw CompressionFailure(code: code)
    }
  }

  deinit {
    deflateEnd(stream)
    stream.deallocate()
  }

  /// The largest result of `compress`.
  static func bound(_ count: Int) -> Int { count + count / 1000 * 2 + 1024 }

  /// Appends the piece in deflate form to `output`.
  ///
  /// - Parameter isLast: whether the stream ends with this piece; if not, it ends at a byte's edge.
  func compress(
    _ input: UnsafeRawBufferPointer, after dictionary: UnsafeRawBufferPointer, isLast: Bool, to output: inout [UInt8]
  ) throws {
    var code = deflateReset(stream)
    guard code == Z_OK else { throw CompressionFailure(code: code) }
    if !dictionary.isEmpty {
      code = deflateSetDictionary(
        stream, dictionary.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt32(dictionary.count))
      guard code == Z_OK else { throw CompressionFailure(code: code) }
    }
    // zlib takes a pointer to mutable bytes for historical reasons and never writes to its input.
    stream.pointee.next_in = UnsafeMutablePointer(
      mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
    stream.pointee.avail_in = UInt32(input.count)
    let flush = isLast ? Z_FINISH : Z_SYNC_FLUSH
    let start = output.count
    var used = start
    var step = Self.bound(input.count)
    repeat {
      output.append(contentsOf: repeatElement(0, count: step))
      output.withUnsafeMutableBufferPointer { buffer in
        stream.pointee.next_out = buffer.baseAddress.map { $0 + used }
        stream.pointee.avail_out = UInt32(step)
        code = deflate(stream, flush)
      }
      guard code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR else { throw CompressionFailure(code: code) }
      used = output.count - Int(stream.pointee.avail_out)
      step = Int(stream.pointee.avail_out) == 0 ? 64 * 1024 : 0
      output.removeLast(output.count - used)
    } while step > 0
  }

  /// Appends the piece as stored blocks (RFC 1951 §3.2.4): for a piece that does not compress, in a stream that does.
  static func store(_ input: UnsafeRawBufferPointer, isLast: Bool, to output: inout [UInt8]) {
    var rest = input[...]
    repeat {
      let block = rest.prefix(Int(UInt16.max))
      rest = rest.dropFirst(block.count)
      output.append(isLast && rest.isEmpty ? 1 : 0)
      output.append(littleEndian: UInt16(block.count))
      output.append(littleEndian: ~UInt16(block.count))
      output.append(contentsOf: block)
    } while !rest.isEmpty
  }
}

/// Tells by trial whether bytes are worth compressing.
final class CompressionProbe {
  /// How much of a file's start is looked at to choose the entry's method.
  static let entrySample = 64 * 1024
  /// How much of each later piece is looked at.
  static let pieceSample = 16 * 1024

  private let deflater: Deflater
  private var output: [UInt8] = []

  init() throws { deflater = try Deflater(level: 1) }

  /// Whether the fastest compression saves at least one byte in thirty-two.
  func isCompressible(_ bytes: UnsafeRawBufferPointer) throws -> Bool {
    output.removeAll(keepingCapacity: true)
    try deflater.compress(bytes, after: UnsafeRawBufferPointer(start: nil, count: 0), isLast: true, to: &output)
    return output.count <= bytes.count - bytes.count / 32
  }
}
