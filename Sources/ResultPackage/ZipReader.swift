public import Cryptography

/// Reads archives of the form that `ZipWriter` writes, and no other: every byte of the file belongs to a record whose
/// fields are checked, and what can mean two things is refused (`ZipRefusal`).
///
/// After `init` all names, sizes and headers are known to be sound; the data of an entry is checked while it is read.
public struct ZipReader {
  /// In bytewise order of their names.
  public let entries: [ZipEntry]
  /// The archive's comment: printable ASCII.
  public let comment: [UInt8]
  private let source: any RandomAccessSource

  /// Reads and checks the directory and all headers.
  ///
  /// - Parameters:
  ///   - checksHeaders: whether the header and descriptor of every entry are read and compared (a small read for each).
  ///     Only for an archive that was checked before, and has been out of reach since, may it be false.
  public init(
    _ source: any RandomAccessSource, limits: ZipLimits = ZipLimits(), checksHeaders: Bool = true,
    shouldContinue: ShouldContinue = { true }
  ) throws {
    let directory = try ZipDirectory(source, limits: limits)
    self.source = source
    entries = directory.entries
    comment = directory.comment
    guard checksHeaders else { return }
    for (index, entry) in entries.enumerated() {
      if index % 1024 == 0 && !shouldContinue() { throw OperationCanceled() }
      try Self.checkHeaders(of: entry, source)
    }
  }

  /// The entry of that name.
  public func entry(named name: String) -> ZipEntry? {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if bytewiseLess(entries[middle].name, name) { low = middle + 1 } else { high = middle }
    }
    return low < entries.count && entries[low].name.utf8.elementsEqual(name.utf8) ? entries[low] : nil
  }

  /// Hands all bytes of an entry to the sink and checks size and CRC-32; an error comes after bytes that may be wrong.
  ///
  /// - Returns: the digest of the bytes.
  @discardableResult
  public func read(
    _ entry: ZipEntry, to sink: any ByteSink, shouldContinue: ShouldContinue = { true }
  ) throws -> SHA256Digest {
    let hasher = SHA256()
    var checksum = Checksum()
    try forEachPiece(of: entry, shouldContinue) { bytes in
      hasher.update(bytes)
      checksum.update(bytes)
      try sink.write(bytes)
    }
    guard checksum.value == entry.crc32 else { throw ZipRefusal.checksumMismatch(name: entry.name) }
    return hasher.finalize()
  }

  /// Hands a part of an entry's bytes to the sink. A stored entry's part is read alone; of a deflated entry all before
  /// it is unpacked too. The CRC-32 cannot be checked then.
  ///
  /// - Parameter range: inside `0..<entry.size`; what lies outside is left away.
  public func read(
    _ entry: ZipEntry, range: Range<UInt64>, to sink: any ByteSink, shouldContinue: ShouldContinue = { true }
  ) throws {
    let range = range.clamped(to: 0..<entry.size)
    guard !range.isEmpty else { return }
    if entry.method == .stored {
      let start = entry.dataOffset
      try forEachStoredPiece(start + range.lowerBound..<start + range.upperBound, shouldContinue, sink.write)
      return
    }
    var position: UInt64 = 0
    do {
      try forEachPiece(of: entry, shouldContinue) { bytes in
        let part = (position..<position + UInt64(bytes.count)).clamped(to: range)
        if !part.isEmpty {
          let slice = bytes[Int(part.lowerBound - position)..<Int(part.upperBound - position)]
          try sink.write(UnsafeRawBufferPointer(rebasing: slice))
        }
        position += UInt64(bytes.count)
        if position >= range.upperBound { throw RangeDone() }
      }
    } catch is RangeDone {}
  }

  private struct RangeDone: Error {}

  private func forEachPiece(
    of entry: ZipEntry, _ shouldContinue: ShouldContinue, _ body: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    let data = entry.dataOffset..<entry.dataOffset + entry.compressedSize
    switch entry.method {
    case .stored: try forEachStoredPiece(data, shouldContinue, body)
    case .deflated: try inflate(entry, data, shouldContinue, body)
    }
  }

  private func forEachStoredPiece(
    _ range: Range<UInt64>, _ shouldContinue: ShouldContinue, _ body: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    var offset = range.lowerBound
    var buffer = [UInt8](repeating: 0, count: Int(min(UInt64(range.count), UInt64(ZipFormat.chunkSize))))
    while offset < range.upperBound {
      guard shouldContinue() else { throw OperationCanceled() }
      let count = Int(min(range.upperBound - offset, UInt64(buffer.count)))
      try buffer.withUnsafeMutableBytes { bytes in
        let part = UnsafeMutableRawBufferPointer(rebasing: bytes[..<count])
        try source.read(at: offset, into: part)
        try body(UnsafeRawBufferPointer(part))
      }
      offset += UInt64(count)
    }
  }

  private func inflate(
    _ entry: ZipEntry, _ range: Range<UInt64>, _ shouldContinue: ShouldContinue,
    _ body: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    let inflater = try Inflater()
    var produced: UInt64 = 0
    var consumed: UInt64 = 0
    var hasEnded = false
    try forEachStoredPiece(range, shouldContinue) { input in
      guard !hasEnded else { throw ZipRefusal.dataAfterEnd(name: entry.name) }
      consumed += UInt64(input.count)
      let outcome = try inflater.inflate(input) { bytes in
        // One small input can give 500 MiB: stop asked here too.
        guard shouldContinue() else { throw OperationCanceled() }
        produced += UInt64(bytes.count)
        guard produced <= entry.size else { throw ZipRefusal.sizeMismatch(name: entry.name) }
        try body(bytes)
      }
      guard let outcome else { throw ZipRefusal.corruptData(name: entry.name) }
      guard outcome.rest == 0 else { throw ZipRefusal.dataAfterEnd(name: entry.name) }
      hasEnded = outcome.status == .ended
    }
    guard hasEnded else { throw ZipRefusal.corruptData(name: entry.name) }
    guard produced == entry.size else { throw ZipRefusal.sizeMismatch(name: entry.name) }
  }

  private static func checkHeaders(of entry: ZipEntry, _ source: any RandomAccessSource) throws {
    let header = entry.localHeader
    let written = try source.bytes(at: entry.offset, count: header.count)
    guard header == written else {
      throw ZipRefusal.headerMismatch(
        name: entry.name, field: HeaderField.firstDifference(header, written, HeaderField.local))
    }
    let descriptor = entry.descriptor
    guard !descriptor.isEmpty else { return }
    guard try source.bytes(at: entry.end - UInt64(descriptor.count), count: descriptor.count) == descriptor else {
      throw ZipRefusal.headerMismatch(name: entry.name, field: "data descriptor")
    }
  }
}
