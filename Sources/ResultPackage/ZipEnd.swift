/// The records at an archive's end: Zip64 record and locator when they are needed, and the end record (APPNOTE
/// 4.3.14 to 4.3.16).
struct ZipEnd: Equatable {
  var entryCount: UInt64
  var directorySize: UInt64
  var directoryOffset: UInt64
  var commentLength: Int

  var needsZip64: Bool {
    entryCount >= ZipFormat.maximum16 || directorySize >= ZipFormat.maximum32
      || directoryOffset >= ZipFormat.maximum32
  }

  /// Where the records begin.
  private var offset: UInt64 { directoryOffset + directorySize }

  /// The records, up to the comment.
  var bytes: [UInt8] {
    var bytes: [UInt8] = []
    if needsZip64 {
      bytes.append(littleEndian: ZipFormat.end64Signature)
      bytes.append(littleEndian: UInt64(ZipFormat.end64Size - 12))
      bytes.append(littleEndian: ZipFormat.madeBy)
      bytes.append(littleEndian: ZipFormat.version64)
      bytes.append(littleEndian: 0 as UInt32)
      bytes.append(littleEndian: 0 as UInt32)
      bytes.append(littleEndian: entryCount)
      bytes.append(littleEndian: entryCount)
      bytes.append(littleEndian: directorySize)
      bytes.append(littleEndian: directoryOffset)
      bytes.append(littleEndian: ZipFormat.end64LocatorSignature)
      bytes.append(littleEndian: 0 as UInt32)
      bytes.append(littleEndian: offset)
      bytes.append(littleEndian: 1 as UInt32)
    }
    bytes.append(littleEndian: ZipFormat.endSignature)
    bytes.append(littleEndian: 0 as UInt16)
    bytes.append(littleEndian: 0 as UInt16)
    bytes.append(littleEndian: UInt16(min(entryCount, ZipFormat.maximum16)))
    bytes.append(littleEndian: UInt16(min(entryCount, ZipFormat.maximum16)))
    bytes.append(littleEndian: UInt32(min(directorySize, ZipFormat.maximum32)))
    bytes.append(littleEndian: UInt32(min(directoryOffset, ZipFormat.maximum32)))
    bytes.append(littleEndian: UInt16(truncatingIfNeeded: commentLength))
    return bytes
  }
}
