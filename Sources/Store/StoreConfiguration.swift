/// What of the store can be set.
public struct StoreConfiguration: Hashable, Sendable {
  /// Operations that wait for the writer; one more gets ``StoreError/busy``. Default 10,000.
  public var writeQueueLimit = 10_000
  /// Reads that wait; one more gets ``StoreError/busy``. Default 10,000.
  public var readQueueLimit = 10_000
  /// Operations that share one commit, at most. Default 512.
  public var groupLimit = 512
  /// Threads that read beside the writer, 1–64. Default 4.
  public var readers = 4
  /// Bytes of the write-ahead log at which it is written into the database. Default 16 MiB.
  public var checkpointBytes = 16 << 20
  /// Bytes of the write-ahead log at which the writer waits for old readers, so that it can be cut back: its bound, up
  /// to one commit. Default 256 MiB.
  public var walLimitBytes = 256 << 20
  /// Bytes of page cache of the writer; each reader has a quarter. Default 64 MiB.
  public var cacheBytes = 64 << 20

  public init() {}
}
