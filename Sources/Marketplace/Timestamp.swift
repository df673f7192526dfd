/// A point in wall-clock time: milliseconds since 1970-01-01T00:00:00Z.
///
/// Used for what is shown and stored. Deadlines that decide who owns a job use monotonic time instead.
public struct Timestamp: Hashable, Comparable, Sendable {
  public let milliseconds: Int64

  public init(milliseconds: Int64) { self.milliseconds = milliseconds }

  /// Whole seconds, rounded towards the past: the `x_at_unix` twin in JSON.
  public var unixSeconds: Int64 { milliseconds.floorDivided(by: 1000) }

  public static func < (left: Self, right: Self) -> Bool { left.milliseconds < right.milliseconds }

  /// Later than every other.
  public static let distantFuture = Timestamp(milliseconds: .max)

  /// Saturates instead of overflowing: a deadline far beyond the calendar is "never", not a crash.
  public static func + (time: Self, seconds: Seconds) -> Self {
    let (sum, overflow) = time.milliseconds.addingReportingOverflow(seconds.milliseconds)
    return Timestamp(milliseconds: overflow ? (seconds.milliseconds < 0 ? .min : .max) : sum)
  }

  public static func - (time: Self, seconds: Seconds) -> Self {
    let (difference, overflow) = time.milliseconds.subtractingReportingOverflow(seconds.milliseconds)
    return Timestamp(milliseconds: overflow ? (seconds.milliseconds < 0 ? .max : .min) : difference)
  }

  /// Milliseconds from `earlier` to here; negative when `earlier` is later. Saturates.
  public func millisecondsSince(_ earlier: Self) -> Int64 {
    let (difference, overflow) = milliseconds.subtractingReportingOverflow(earlier.milliseconds)
    return overflow ? (earlier.milliseconds < 0 ? .max : .min) : difference
  }
}

/// A length of time in milliseconds, made from whole seconds in most places.
public struct Seconds: Hashable, Comparable, Sendable {
  public let milliseconds: Int64

  public init(milliseconds: Int64) { self.milliseconds = milliseconds }
  public init(_ seconds: Int64) { milliseconds = seconds.multipliedSaturating(by: 1000) }

  public static func days(_ count: Int64) -> Self { Seconds(count.multipliedSaturating(by: 86_400)) }
  public static func < (left: Self, right: Self) -> Bool { left.milliseconds < right.milliseconds }

  /// Whole seconds, rounded towards zero.
  public var whole: Int64 { milliseconds / 1000 }
}

extension Int64 {
  /// Division that rounds towards negative infinity, so that times before 1970 keep their order.
  func floorDivided(by divisor: Int64) -> Int64 {
    let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? quotient - 1 : quotient
  }

  fileprivate func multipliedSaturating(by factor: Int64) -> Int64 {
    let (product, overflow) = multipliedReportingOverflow(by: factor)
    return overflow ? ((self < 0) == (factor < 0) ? .max : .min) : product
  }
}
