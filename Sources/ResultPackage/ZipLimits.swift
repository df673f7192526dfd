/// What a reader is ready to take; sizes in bytes.
public struct ZipLimits: Sendable {
  /// The largest number of entries. Default 1,048,576.
  public var entries: UInt64 = 1 << 20
  /// The largest central directory, which is held in memory. Default 256 MiB.
  public var directorySize: UInt64 = 256 << 20
  /// The largest single file after unpacking. Default 1 TiB.
  public var entrySize: UInt64 = 1 << 40
  /// The largest sum of all files after unpacking. Default 1 TiB.
  public var totalSize: UInt64 = 1 << 40
  /// How many times larger than its compressed data a file may be, beyond a first mebibyte. Default 1,100, which
  /// deflate (at most 1,032) cannot reach: a guard against lies, not against zeros.
  public var ratio: UInt64 = 1100

  public init() {}
}
