public import Marketplace

/// A reading of a clock that never goes back; comparable only within one process.
public struct MonotonicTime: Hashable, Comparable, Sendable {
  public let milliseconds: Int64

  public init(milliseconds: Int64) { self.milliseconds = milliseconds }

  public static func < (left: Self, right: Self) -> Bool { left.milliseconds < right.milliseconds }
  public static func + (time: Self, span: Seconds) -> Self {
    let (sum, overflow) = time.milliseconds.addingReportingOverflow(span.milliseconds)
    return MonotonicTime(milliseconds: overflow ? (span.milliseconds < 0 ? .min : .max) : sum)
  }
  public static func - (time: Self, earlier: Self) -> Seconds {
    let (difference, overflow) = time.milliseconds.subtractingReportingOverflow(earlier.milliseconds)
    return Seconds(milliseconds: overflow ? (earlier.milliseconds < 0 ? .max : .min) : difference)
  }
}

/// Where time comes from. Product code takes one and never reads a clock itself, so that tests and the simulation
/// decide what time it is.
public protocol MarketClock: Sendable {
  /// Wall-clock time: for what is shown and stored. May jump.
  var now: Timestamp { get }
  /// For deadlines: leases, time-outs, back-off.
  var monotonic: MonotonicTime { get }
  /// Returns at or after `deadline`. Throws `CancellationError` when the task is canceled.
  func sleep(until deadline: MonotonicTime) async throws
}

extension MarketClock {
  /// Sleeps for a span from now. Throws `CancellationError` when the task is canceled.
  public func sleep(for span: Seconds) async throws { try await sleep(until: monotonic + span) }
}
