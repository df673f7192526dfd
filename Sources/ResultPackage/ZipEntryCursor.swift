import CZlib

/// Reads one file of an archive at any place; from front to back at the price of one pass.
///
/// A stored file's bytes are read where they lie. A deflated one is unpacked up to the place that is asked for, from
/// where the last reading ended or else from its beginning. It keeps no descriptor: each reading is given the archive.
/// Not for use by two threads at once.
public final class ZipEntryCursor {
  public let entry: ZipEntry
  /// Where a reading costs nothing extra: the end of the last one.
  public private(set) var position: UInt64 = 0
  private var stream: RawInflater?
  /// Compressed bytes consumed.
  private var consumed: UInt64 = 0
  private var input: ArraySlice<UInt8> = []

  private static let inputSize = 64 * 1024

  public init(_ entry: ZipEntry) { self.entry = entry }

  /// Up to `count` bytes from `offset`; fewer at the end of the file. Throws `ZipRefusal` when the data is damaged, or
  /// what the source throws.
  public func read(from source: any RandomAccessSource, at offset: UInt64, count: Int) throws -> [UInt8] {
    guard offset < entry.size, count > 0 else { return [] }
    let wanted = Int(min(UInt64(count), entry.size - offset))
    if entry.method == .stored {
      position = offset + UInt64(wanted)
      return try source.bytes(at: entry.dataOffset + offset, count: wanted)
    }
    if offset < position { rewind() }
    if offset > position { try skip(to: offset, source) }
    return try [UInt8](unsafeUninitializedCapacity: wanted) { buffer, filled in
      try unpack(into: UnsafeMutableRawBufferPointer(buffer), source)
      filled = wanted
    }
  }

  private func rewind() {
    stream = nil
    input = []
    consumed = 0
    position = 0
  }

  private func skip(to offset: UInt64, _ source: any RandomAccessSource) throws {
    try withUnsafeTemporaryAllocation(byteCount: Self.inputSize, alignment: 16) { scratch in
      while position < offset {
        let count = Int(min(UInt64(scratch.count), offset - position))
        try unpack(into: UnsafeMutableRawBufferPointer(rebasing: scratch[..<count]), source)
      }
    }
  }

  /// Fills all of the buffer.
  private func unpack(into buffer: UnsafeMutableRawBufferPointer, _ source: any RandomAccessSource) throws {
    let stream = try stream ?? RawInflater()
    self.stream = stream
    var filled = 0
    while filled < buffer.count {
      if input.isEmpty, consumed < entry.compressedSize {
        let count = Int(min(UInt64(Self.inputSize), entry.compressedSize - consumed))
        input = try source.bytes(at: entry.dataOffset + consumed, count: count)[...]
        consumed += UInt64(count)
      }
      // When all input is taken, zlib may still hold bytes that found no room before.
      let isLast = input.isEmpty
      guard let step = try stream.step(&input, into: UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])),
        step > 0 || !isLast
      else { throw ZipRefusal.corruptData(name: entry.name) }
      filled += step
    }
    position += UInt64(filled)
  }
}

/// zlib's inflate, a step at a time.
private final class RawInflater {
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

  /// Takes from the front of `input` and fills the front of `output`. Returns how many bytes came out; nil when the
  /// data is damaged or ends here.
  func step(_ input: inout ArraySlice<UInt8>, into output: UnsafeMutableRawBufferPointer) throws -> Int? {
    let code = input.withUnsafeBufferPointer { bytes in
      // zlib takes a pointer to mutable bytes for historical reasons and never writes to its input.
      stream.pointee.next_in = UnsafeMutablePointer(mutating: bytes.baseAddress)
      stream.pointee.avail_in = UInt32(bytes.count)
      stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
      stream.pointee.avail_out = UInt32(output.count)
      return CZlib.inflate(stream, Z_NO_FLUSH)
    }
    if code == Z_MEM_ERROR { throw CompressionFailure(code: code) }
    guard code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR else { return nil }
    input = input.suffix(Int(stream.pointee.avail_in))
    let count = output.count - Int(stream.pointee.avail_out)
    return count == 0 && code == Z_STREAM_END ? nil : count
  }
}
