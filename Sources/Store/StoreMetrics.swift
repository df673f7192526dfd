public import Instruments

/// What a store counts of its writer.
public final class StoreMetrics: Sendable {
  /// Operations that were made durable, or that threw and changed nothing.
  public let operations = Counter()
  /// Groups that did not reach the disk.
  public let failures = Counter()
  /// From the first operation of a group to its being on disk.
  public let durations = Histogram(
    .duration,
    bounds: [250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 10_000_000])
  /// Operations that shared a commit.
  public let groups = Histogram(.number, bounds: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512])

  public init() {}
}
