import Glibc
public import Marketplace

/// The machine's clocks. `CLOCK_MONOTONIC` stands still while the machine sleeps, as leases should.
public struct SystemClock: MarketClock {
  private let ahead: Seconds

  /// `ahead`: added to the wall clock, to see today what a later day will bring. Monotonic time has no use for it.
  public init(ahead: Seconds = Seconds(0)) { self.ahead = ahead }

  public var now: Timestamp { Timestamp(milliseconds: Self.read(CLOCK_REALTIME)) + ahead }
  public var monotonic: MonotonicTime { MonotonicTime(milliseconds: Self.read(CLOCK_MONOTONIC)) }

  public func sleep(until deadline: MonotonicTime) async throws {
    try Task.checkCancellation()
    // In pieces: the runtime's arithmetic is not made for deadlines that mean "never".
    while case let rest = (deadline - monotonic).milliseconds, rest > 0 {
      try await Task.sleep(for: .milliseconds(Int64(min(rest, 3_600_000))), clock: .suspending)
    }
  }

  private static func read(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }
}
