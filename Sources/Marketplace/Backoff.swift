/// Exponential back-off with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"): a random wait
/// between 0 and min(cap, base × 2^attempt).
public struct Backoff: Hashable, Sendable {
  public let base: Seconds
  public let cap: Seconds

  public init(base: Seconds, cap: Seconds) {
    self.base = base
    self.cap = cap
  }

  /// Between tries of a job: 1 s doubling to 60 s.
  public static let betweenTries = Backoff(base: Seconds(1), cap: Seconds(60))
  /// Between reconnects: 0.5 s doubling to 15 s.
  public static let reconnect = Backoff(base: Seconds(milliseconds: 500), cap: Seconds(15))

  /// The wait before attempt `attempt` + 1; `attempt` counts from 0.
  public func delay(attempt: Int, using generator: inout some RandomNumberGenerator) -> Seconds {
    let ceiling = min(cap.milliseconds, base.milliseconds << min(max(0, attempt), 20))
    return Seconds(milliseconds: Int64.random(in: 0...max(0, ceiling), using: &generator))
  }
}
