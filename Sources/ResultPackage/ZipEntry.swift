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
  public var dataOffset: UInt64 { offset + UInt64(ZipFormat.localSize + name.utf8.count + localExtraLength) }

  /// Where the next header must begin.
  var end: UInt64 { dataOffset + compressedSize + UInt64(descriptorLength) }

  /// Whether CRC and sizes follow the data.
  var hasDescriptor: Bool { size > UInt64(ZipFormat.chunkSize) }
  /// Whether sizes take eight bytes.
  var isLarge: Bool { size >= ZipFormat.zip64Threshold }
  private var hasLargeOffset: Bool { offset >= ZipFormat.maximum32 }
  private var flags: UInt16 { ZipFormat.flagUTF8 | (hasDescriptor ? ZipFormat.flagDescriptor : 0) }

  /// Of the Zip64 field in the local header: room for both sizes, which follow the data.
  private var localExtraLength: Int { isLarge ? 20 : 0 }

  /// The local file header (APPNOTE 4.3.7) with the name. All but its CRC and sizes is known beforehand.
  var localHeader: [UInt8] {
    HeaderFields.bytes(ZipFormat.localSize + name.utf8.count + localExtraLength) { header in
      let unknown = isLarge ? UInt32.max : 0
      header.put(ZipFormat.localSignature)
      header.put(isLarge ? ZipFormat.version64 : ZipFormat.versionPlain)
      header.put(flags)
      header.put(method.rawValue)
      header.put(ZipFormat.fixedTime)
      header.put(ZipFormat.fixedDate)
      header.put(hasDescriptor ? 0 : crc32)
      header.put(hasDescriptor ? unknown : UInt32(truncatingIfNeeded: compressedSize))
      header.put(hasDescriptor ? unknown : UInt32(truncatingIfNeeded: size))
      header.put(UInt16(truncatingIfNeeded: name.utf8.count))
      header.put(UInt16(truncatingIfNeeded: localExtraLength))
      header.put(name)
      guard isLarge else { return }
      header.put(ZipFormat.zip64ExtraID)
      header.put(16 as UInt16)
      header.put(0 as UInt64)
      header.put(0 as UInt64)
    }
  }

  /// The data descriptor (APPNOTE 4.3.9), with its signature; empty when the local header says all.
  var descriptor: [UInt8] {
    HeaderFields.bytes(descriptorLength) { descriptor in
      guard hasDescriptor else { return }
      descriptor.put(ZipFormat.descriptorSignature)
      descriptor.put(crc32)
      if isLarge {
        descriptor.put(compressedSize)
        descriptor.put(size)
      } else {
        descriptor.put(UInt32(truncatingIfNeeded: compressedSize))
        descriptor.put(UInt32(truncatingIfNeeded: size))
      }
    }
  }

  private var descriptorLength: Int { hasDescriptor ? (isLarge ? 24 : 16) : 0 }

  /// Of the Zip64 field in the directory: the values that do not fit.
  private var centralExtraLength: Int {
    let values = (isLarge ? 2 : 0) + (hasLargeOffset ? 1 : 0)
    return values > 0 ? 4 + 8 * values : 0
  }

  /// Of ``centralHeader``.
  var centralHeaderLength: Int { ZipFormat.centralSize + name.utf8.count + centralExtraLength }

  /// The central directory header (APPNOTE 4.3.12) with the name.
  var centralHeader: [UInt8] {
    HeaderFields.bytes(centralHeaderLength) { header in
      header.put(ZipFormat.centralSignature)
      header.put(ZipFormat.madeBy)
      header.put(centralExtraLength == 0 ? ZipFormat.versionPlain : ZipFormat.version64)
      header.put(flags)
      header.put(method.rawValue)
      header.put(ZipFormat.fixedTime)
      header.put(ZipFormat.fixedDate)
      header.put(crc32)
      header.put(isLarge ? UInt32.max : UInt32(truncatingIfNeeded: compressedSize))
      header.put(isLarge ? UInt32.max : UInt32(truncatingIfNeeded: size))
      header.put(UInt16(truncatingIfNeeded: name.utf8.count))
      header.put(UInt16(truncatingIfNeeded: centralExtraLength))
      // Comment length, first disk, internal attributes.
      for _ in 0..<3 { header.put(0 as UInt16) }
      header.put(ZipFormat.externalAttributes)
      header.put(hasLargeOffset ? UInt32.max : UInt32(truncatingIfNeeded: offset))
      header.put(name)
      guard centralExtraLength > 0 else { return }
      header.put(ZipFormat.zip64ExtraID)
      header.put(UInt16(truncatingIfNeeded: centralExtraLength - 4))
      if isLarge {
        header.put(size)
        header.put(compressedSize)
      }
      if hasLargeOffset { header.put(offset) }
    }
  }
}
