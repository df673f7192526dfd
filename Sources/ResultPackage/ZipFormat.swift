/// Constants of the ZIP format (PKWARE APPNOTE 6.3.9) and of the one profile that this project writes and reads.
enum ZipFormat {
  static let localSignature: UInt32 = 0x0403_4B50
  static let descriptorSignature: UInt32 = 0x0807_4B50
  static let centralSignature: UInt32 = 0x0201_4B50
  static let endSignature: UInt32 = 0x0605_4B50
  static let end64Signature: UInt32 = 0x0606_4B50
  static let end64LocatorSignature: UInt32 = 0x0706_4B50

  static let localSize = 30
  static let centralSize = 46
  static let endSize = 22
  static let end64Size = 56
  static let end64LocatorSize = 20

  /// Names are UTF-8 (general purpose bit 11).
  static let flagUTF8: UInt16 = 1 << 11
  /// CRC and sizes follow the data (general purpose bit 3).
  static let flagDescriptor: UInt16 = 1 << 3
  /// Encryption, strong encryption, masked headers (bits 0, 6, 13).
  static let flagsEncryption: UInt16 = 1 | 1 << 6 | 1 << 13

  /// "Made by" Unix, with version 4.5 of the specification: the version that has Zip64.
  static let madeBy: UInt16 = 3 << 8 | 45
  static let versionPlain: UInt16 = 20
  static let version64: UInt16 = 45

  /// 1980-01-01 00:00:00 in DOS form, the earliest time the format knows: no time at all.
  static let fixedTime: UInt16 = 0
  static let fixedDate: UInt16 = 0x0021
  /// A regular file, mode 0644, in the upper half as Unix tools read it.
  static let externalAttributes: UInt32 = 0o100644 << 16

  static let zip64ExtraID: UInt16 = 1
  static let maximum16 = UInt64(UInt16.max)
  static let maximum32 = UInt64(UInt32.max)

  /// From this size on an entry is written in Zip64 form. It lies below 4 GiB, because the size after compression is
  /// not known when the local header is written, and data that does not compress grows by up to 5 bytes in 16 KiB.
  static let zip64Threshold: UInt64 = 0xF000_0000

  /// The piece data is read, compressed and written in. An entry of up to one piece has its sizes in its local header,
  /// a longer one behind its data. Part of the format: changing it changes the bytes of archives.
  static let chunkSize = 512 * 1024
}

/// How an entry's bytes are kept.
public enum ZipMethod: UInt16, Sendable {
  case stored = 0
  case deflated = 8
}
