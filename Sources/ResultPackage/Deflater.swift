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
  /// See docs/decisions/0031: a sixth faster than 6 for a quarter of a percent of size.
  static let level: Int32 = 5

  private let stream: UnsafeMutablePointer<z_stream>
  /// As large as the largest piece so far wanted.
  private var scratch = UnsafeMutableRawBufferPointer(start: nil, count: 0)

  init(level: Int32 = Deflater.level) throws {
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
    scratch.deallocate()
  }

  /// Enough for the result of `compress`, by zlib's own measure of the worst case.
  private static func bound(_ count: Int) -> Int { count + count / 1000 * 2 + 1024 }

  /// The piece in deflate form, valid until the next call.
  ///
  /// - Parameter isLast: whether the stream ends with this piece; if not, it ends at a byte's edge.
  func compress(
    _ input: UnsafeRawBufferPointer, after dictionary: UnsafeRawBufferPointer, isLast: Bool
  ) throws -> UnsafeRawBufferPointer {
    try begin(input, after: dictionary)
    if scratch.count < Self.bound(input.count) { resize(to: Self.bound(input.count), keeping: 0) }
    let flush = isLast ? Z_FINISH : Z_SYNC_FLUSH
    var used = 0
    while true {
      stream.pointee.next_out = scratch.baseAddress.map { $0.assumingMemoryBound(to: UInt8.self) + used }
      stream.pointee.avail_out = UInt32(scratch.count - used)
      let code = deflate(stream, flush)
      guard code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR else { throw CompressionFailure(code: code) }
      used = scratch.count - Int(stream.pointee.avail_out)
      if stream.pointee.avail_out > 0 { break }
      resize(to: scratch.count * 2, keeping: used)
    }
    return UnsafeRawBufferPointer(rebasing: scratch[..<used])
  }

  private func begin(_ input: UnsafeRawBufferPointer, after dictionary: UnsafeRawBufferPointer) throws {
    var code = deflateReset(stream)
    guard code == Z_OK else { throw CompressionFailure(code: code) }
    if !dictionary.isEmpty {
      code = deflateSetDictionary(
        stream, dictionary.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt32(dictionary.count))
      guard code == Z_OK else { throw CompressionFailure(code: code) }
    }
    // zlib takes a pointer to mutable bytes for historical reasons and never writes to its input.
    stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
    stream.pointee.avail_in = UInt32(input.count)
  }

  private func resize(to count: Int, keeping used: Int) {
    let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
    larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: scratch[..<used]))
    scratch.deallocate()
    scratch = larger
  }

  /// The piece as stored blocks (RFC 1951 §3.2.4): for a piece that does not compress, in a stream that does.
  static func stored(_ input: UnsafeRawBufferPointer, isLast: Bool) -> [UInt8] {
    var output: [UInt8] = []
    output.reserveCapacity(input.count + (input.count / Int(UInt16.max) + 1) * 5)
    var rest = input[...]
    repeat {
      let block = rest.prefix(Int(UInt16.max))
      rest = rest.dropFirst(block.count)
      output.append(isLast && rest.isEmpty ? 1 : 0)
      output.append(littleEndian: UInt16(block.count))
      output.append(littleEndian: ~UInt16(block.count))
      output.append(contentsOf: block)
    } while !rest.isEmpty
    return output
  }
}
