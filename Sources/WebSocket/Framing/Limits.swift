/// Bounds on what a peer may send. Each is checked before the memory it bounds is used.
public struct Limits: Hashable, Sendable {
  /// Payload of one frame, in bytes. Default 1 MiB. Past it: 1009.
  public var maximumFrameSize: Int
  /// Payload of one message over all its fragments, in bytes, after inflating. Default 4 MiB. Past it: 1009.
  public var maximumMessageSize: Int
  /// Frames of one message, the first included. Default 4,096. Past it: 1008.
  public var maximumFragments: Int
  /// Pings, pongs and close frames in a second, counted from the first of them. Default 100. Past it: 1008.
  public var maximumControlFramesPerSecond: Int
  /// Bytes that one compressed message may inflate to, checked while inflating. Default 4 MiB. Past it: 1009.
  public var deflateBomb: Int

  public init(
    maximumFrameSize: Int = 1 << 20, maximumMessageSize: Int = 4 << 20, maximumFragments: Int = 4096,
    maximumControlFramesPerSecond: Int = 100, deflateBomb: Int = 4 << 20
  ) {
    self.maximumFrameSize = maximumFrameSize
    self.maximumMessageSize = maximumMessageSize
    self.maximumFragments = maximumFragments
    self.maximumControlFramesPerSecond = maximumControlFramesPerSecond
    self.deflateBomb = deflateBomb
  }
}

/// Counts control frames in seconds that begin with a frame: never more than the limit in one such second.
struct ControlRate: Sendable {
  private var windowStart: UInt64 = 0
  private var count = 0

  /// - Parameter now: nanoseconds on any clock that never goes back.
  mutating func admit(at now: UInt64, limit: Int) -> Bool {
    if count == 0 || now &- windowStart >= 1_000_000_000 {
      windowStart = now
      count = 0
    }
    count += 1
    return count <= limit
  }
}
