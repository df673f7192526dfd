/// Reads an archive's end and central directory, strictly: a record must be, byte for byte, the one this project would
/// have written for the values in it.
struct ZipDirectory {
  let entries: [ZipEntry]
  let comment: [UInt8]

  init(_ source: any RandomAccessSource, limits: ZipLimits) throws {
    let (end, comment) = try Self.end(of: source)
    self.comment = comment
    guard end.entryCount <= limits.entries else {
      throw ZipRefusal.tooManyEntries(count: end.entryCount, limit: limits.entries)
    }
    guard end.directorySize <= limits.directorySize else {
      throw ZipRefusal.directoryTooLarge(size: end.directorySize, limit: limits.directorySize)
    }
    let bytes = try source.bytes(at: end.directoryOffset, count: Int(end.directorySize))
    var parser = CentralParser(bytes: bytes, limits: limits)
    entries = try parser.parse(count: end.entryCount)
    if let clash = NameClash.first(in: entries.lazy.map(\.name)) { throw ZipRefusal.nameClash(clash) }
    try Self.checkPlaces(entries, directoryOffset: end.directoryOffset)
  }

  /// The end records, checked, with the comment.
  static func end(of source: any RandomAccessSource) throws -> (end: ZipEnd, comment: [UInt8]) {
    let (offset, comment) = try locateEnd(source)
    return (try parseEnd(source, at: offset, commentLength: comment.count), comment)
  }

  /// Finds the last end record, which must end with the file.
  private static func locateEnd(_ source: any RandomAccessSource) throws -> (offset: UInt64, comment: [UInt8]) {
    let length = Int(min(source.size, UInt64(ZipFormat.endSize) + ZipFormat.maximum16))
    guard length >= ZipFormat.endSize else { throw ZipRefusal.noEndRecord }
    let tailOffset = source.size - UInt64(length)
    let tail = try source.bytes(at: tailOffset, count: length)
    var index = length - ZipFormat.endSize
    while tail.littleEndian(at: index, as: UInt32.self) != ZipFormat.endSignature {
      guard index > 0 else { throw ZipRefusal.noEndRecord }
      index -= 1
    }
    let commentLength = Int(tail.littleEndian(at: index + 20, as: UInt16.self))
    let comment = Array(tail[(index + ZipFormat.endSize)...])
    guard comment.count <= commentLength else { throw ZipRefusal.trailingData }
    guard comment.count == commentLength else { throw ZipRefusal.noEndRecord }
    guard comment.count <= ZipWriter.maximumCommentLength, comment.allSatisfy({ (0x20...0x7E).contains($0) }) else {
      throw ZipRefusal.badComment
    }
    return (tailOffset + UInt64(index), comment)
  }

  private static func parseEnd(
    _ source: any RandomAccessSource, at offset: UInt64, commentLength: Int
  ) throws -> ZipEnd {
    let record = try source.bytes(at: offset, count: ZipFormat.endSize)
    let disks = [4, 6].map { record.littleEndian(at: $0, as: UInt16.self) }
    let counts = [8, 10].map { record.littleEndian(at: $0, as: UInt16.self) }
    guard disks == [0, 0], counts[0] == counts[1] else { throw ZipRefusal.multipleDisks }
    var end = ZipEnd(
      entryCount: UInt64(counts[1]), directorySize: UInt64(record.littleEndian(at: 12, as: UInt32.self)),
      directoryOffset: UInt64(record.littleEndian(at: 16, as: UInt32.self)), commentLength: commentLength)
    var recordsOffset = offset
    if end.needsZip64 {
      let size = UInt64(ZipFormat.end64Size + ZipFormat.end64LocatorSize)
      guard offset >= size else { throw ZipRefusal.badSignature(record: "Zip64 end record") }
      recordsOffset = offset - size
      try parseEnd64(source, at: recordsOffset, into: &end)
    }
    let (directoryEnd, overflow) = end.directoryOffset.addingReportingOverflow(end.directorySize)
    guard !overflow, directoryEnd <= recordsOffset else { throw ZipRefusal.overlap(name: "central directory") }
    try checkStart(source, end)
    guard directoryEnd == recordsOffset else { throw ZipRefusal.unaccountedBytes(at: directoryEnd) }
    let written = try source.bytes(at: recordsOffset, count: Int(offset - recordsOffset) + ZipFormat.endSize)
    guard end.bytes == written else { throw ZipRefusal.notCanonical(record: "end record", field: "field") }
    return end
  }

  private static func parseEnd64(
    _ source: any RandomAccessSource, at offset: UInt64, into end: inout ZipEnd
  ) throws {
    let record = try source.bytes(at: offset, count: ZipFormat.end64Size + ZipFormat.end64LocatorSize)
    guard record.littleEndian(at: 0, as: UInt32.self) == ZipFormat.end64Signature else {
      throw ZipRefusal.badSignature(record: "Zip64 end record")
    }
    let locator = ZipFormat.end64Size
    guard record.littleEndian(at: locator, as: UInt32.self) == ZipFormat.end64LocatorSignature else {
      throw ZipRefusal.badSignature(record: "Zip64 end locator")
    }
    let disks = [16, 20, locator + 4].map { record.littleEndian(at: $0, as: UInt32.self) }
    let counts = [24, 32].map { record.littleEndian(at: $0, as: UInt64.self) }
    guard disks == [0, 0, 0], record.littleEndian(at: locator + 16, as: UInt32.self) == 1, counts[0] == counts[1]
    else { throw ZipRefusal.multipleDisks }
    end.entryCount = counts[1]
    end.directorySize = record.littleEndian(at: 40, as: UInt64.self)
    end.directoryOffset = record.littleEndian(at: 48, as: UInt64.self)
    guard end.needsZip64 else { throw ZipRefusal.notCanonical(record: "Zip64 end record", field: "presence") }
  }

  /// An archive begins with its first entry, or with its directory when it is empty.
  private static func checkStart(_ source: any RandomAccessSource, _ end: ZipEnd) throws {
    guard end.entryCount > 0 else {
      guard end.directoryOffset == 0 else { throw ZipRefusal.prefixedData }
      return
    }
    let signature = try source.bytes(at: 0, count: 4).littleEndian(at: 0, as: UInt32.self)
    guard signature == ZipFormat.localSignature else { throw ZipRefusal.prefixedData }
  }

  /// Every byte before the directory belongs to exactly one entry, in the directory's order.
  private static func checkPlaces(_ entries: [ZipEntry], directoryOffset: UInt64) throws {
    var expected: UInt64 = 0
    var previous: String?
    for entry in entries {
      if let previous, !bytewiseLess(previous, entry.name) {
        throw ZipRefusal.outOfOrder(previous: previous, name: entry.name)
      }
      previous = entry.name
      guard entry.offset >= expected, entry.offset <= directoryOffset else {
        throw ZipRefusal.overlap(name: entry.name)
      }
      guard entry.offset == expected else {
        throw expected == 0 ? ZipRefusal.prefixedData : ZipRefusal.unaccountedBytes(at: expected)
      }
      guard entry.compressedSize <= directoryOffset, entry.end <= directoryOffset else {
        throw ZipRefusal.overlap(name: entry.name)
      }
      expected = entry.end
    }
    guard expected == directoryOffset else { throw ZipRefusal.unaccountedBytes(at: expected) }
  }
}
