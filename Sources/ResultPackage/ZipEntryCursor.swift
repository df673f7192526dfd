/// Reads one file of an archive at any place; from front to back at the price of one pass.
///
/// A stored file's bytes are read where they lie. A deflated one is unpacked up to the place that is asked for, from
/// where the last reading ended or else from its beginning. It keeps no descriptor: each reading is given the archive.
/// Not for use by two threads at once.
public final class ZipEntryCursor {
  public let entry: ZipEntry
  /// Where a reading costs nothing extra: the end of the last one.
  public private(set) var position: UInt64 = 0
  private var stream: InflateStream?
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
    let stream = try stream ?? InflateStream()
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
      let room = UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
      guard let step = try input.withUnsafeBytes({ try stream.step($0, into: room) }),
        step.produced > 0 || !(isLast || step.isEnd)
      else { throw ZipRefusal.corruptData(name: entry.name) }
      input = input.suffix(step.rest)
      filled += step.produced
    }
    position += UInt64(filled)
  }
}
