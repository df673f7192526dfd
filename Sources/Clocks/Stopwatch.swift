import Glibc

/// Measures how long our own work takes, for figures alone: no decision may rest on it, so it needs no injected clock.
public struct Stopwatch: Sendable {
  private let began: Int64

  /// Starts now.
  public init() { began = Self.nanoseconds() }

  public var microseconds: Int64 { (Self.nanoseconds() - began) / 1_000 }

  private static func nanoseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}
