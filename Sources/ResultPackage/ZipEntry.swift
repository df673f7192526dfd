/// One file of an archive, as the central directory describes it.
public struct ZipEntry: Equatable, Sendable {
  /// The whole name, with the archive's root folder.
  public let name: String
  public let method: ZipMethod
  /// The length of the file in bytes.
  public let size: UInt64
  /// The length of the data in the archive in bytes.
  public let compressedSize: UInt64
  public let crc32: UInt32
  /// Where the local header begins.
  public let offset: UInt64

  /// Where the data begins. A stored entry's bytes are the archive's bytes from here on.
  public var dataOffset: UInt64 { offset + UInt64(ZipFormat.localSize + name.utf8.count + localExtra.count) }

  /// Where the next header must begin.
  var end: UInt64 { dataOffset + compressedSize + UInt64(descriptor.count) }

  /// Whether CRC and sizes follow the data.
  var hasDescriptor: Bool { size > UInt64(ZipFormat.chunkSize) }
  /// Whether sizes take eight bytes.
  var isLarge: Bool { size >= ZipFormat.zip64Threshold }
  private var hasLargeOffset: Bool { offset >= ZipFormat.maximum32 }
  private var flags: UInt16 { ZipFormat.flagUTF8 | (hasDescriptor ? ZipFormat.flagDescriptor : 0) }

  private var localExtra: [UInt8] {
    guard isLarge else { return [] }
    var extra: [UInt8] = []
    extra.append(littleEndian: ZipFormat.zip64ExtraID)
    extra.append(littleEndian: 16 as UInt16)
    // Both sizes follow the data.
    extra.append(littleEndian: 0 as UInt64)
    extra.append(littleEndian: 0 as UInt64)
    return extra
  }

  /// The local file header (APPNOTE 4.3.7) with the name. All but its CRC and sizes is known beforehand.
  var localHeader: [UInt8] {
    var header: [UInt8] = []
    header.append(littleEndian: ZipFormat.localSignature)
    header.append(littleEndian: isLarge ? ZipFormat.version64 : ZipFormat.versionPlain)
    header.append(littleEndian: flags)
    header.append(littleEndian: method.rawValue)
    header.append(littleEndian: ZipFormat.fixedTime)
    header.append(littleEndian: ZipFormat.fixedDate)
    header.append(littleEndian: hasDescriptor ? 0 : crc32)
    let unknown = isLarge ? UInt32.max : 0
    header.append(littleEndian: hasDescriptor ? unknown : UInt32(truncatingIfNeeded: compressedSize))
    header.append(littleEndian: hasDescriptor ? unknown : UInt32(truncatingIfNeeded: size))
    header.append(littleEndian: UInt16(truncatingIfNeeded: name.utf8.count))
    header.append(littleEndian: UInt16(truncatingIfNeeded: localExtra.count))
    header.append(contentsOf: name.utf8)
    header.append(contentsOf: localExtra)
    return header
  }

  /// The data descriptor (APPNOTE 4.3.9), with its signature; empty when the local header says all.
  var descriptor: [UInt8] {
    guard hasDescriptor else { return [] }
    var descriptor: [UInt8] = []
    descriptor.append(littleEndian: ZipFormat.descriptorSignature)
    descriptor.append(littleEndian: crc32)
    if isLarge {
      descriptor.append(littleEndian: compressedSize)
      descriptor.append(littleEndian: size)
    } else {
      descriptor.append(littleEndian: UInt32(truncatingIfNeeded: compressedSize))
      descriptor.append(littleEndian: UInt32(truncatingIfNeeded: size))
    }
    return descriptor
  }

  private var centralExtra: [UInt8] {
    guard isLarge || hasLargeOffset else { return [] }
    var values: [UInt64] = isLarge ? [size, compressedSize] : []
    if hasLargeOffset { values.append(offset) }
    var extra: [UInt8] = []
    extra.append(littleEndian: ZipFormat.zip64ExtraID)
    extra.append(littleEndian: UInt16(values.count * 8))
    for value in values { extra.append(littleEndian: value) }
    return extra
  }

  /// The central directory header (APPNOTE 4.3.12) with the name.
  var centralHeader: [UInt8] {
    let extra = centralExtra
    var header: [UInt8] = []
    header.reserveCapacity(ZipFormat.centralSize + name.utf8.count + extra.count)
    header.append(littleEndian: ZipFormat.centralSignature)
    header.append(littleEndian: ZipFormat.madeBy)
    header.append(littleEndian: extra.isEmpty ? ZipFormat.versionPlain : ZipFormat.version64)
    header.append(littleEndian: flags)
    header.append(littleEndian: method.rawValue)
    header.append(littleEndian: ZipFormat.fixedTime)
    header.append(littleEndian: ZipFormat.fixedDate)
    header.append(littleEndian: crc32)
    header.append(littleEndian: isLarge ? UInt32.max : UInt32(truncatingIfNeeded: compressedSize))
    header.append(littleEndian: isLarge ? UInt32.max : UInt32(truncatingIfNeeded: size))
    header.append(littleEndian: UInt16(truncatingIfNeeded: name.utf8.count))
    header.append(littleEndian: UInt16(truncatingIfNeeded: extra.count))
    // Comment length, first disk, internal attributes.
    for _ in 0..<3 { header.append(littleEndian: 0 as UInt16) }
    header.append(littleEndian: ZipFormat.externalAttributes)
    header.append(littleEndian: hasLargeOffset ? UInt32.max : UInt32(truncatingIfNeeded: offset))
    header.append(contentsOf: name.utf8)
    header.append(contentsOf: extra)
    return header
  }
}
