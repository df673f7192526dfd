import Clocks
import Marketplace
import Synchronization
import Wire

/// A token bucket for each caller. A value; ``RateLimiter`` owns one.
struct TokenBuckets {
  private struct Bucket {
    /// Thousandths of a request.
    var tokens: Int64
    var at: MonotonicTime
  }

  /// Requests in a second; as many may come at once.
  let rate: Int64
  /// Callers that are remembered; then those that are at rest are forgotten, or all.
  static let callers = 10_000

  private var buckets: [Int: Bucket] = [:]

  init(rate: Int64) { self.rate = rate }

  /// Takes one request of a caller. Nil: it may go on; else whole seconds to wait.
  mutating func take(_ caller: Int, at now: MonotonicTime) -> Int? {
    let full = rate * 1_000
    var bucket = buckets[caller] ?? Bucket(tokens: full, at: now)
    // A millisecond brings `rate` thousandths.
    bucket.tokens = min(full, bucket.tokens + max(0, (now - bucket.at).milliseconds) * rate)
    bucket.at = now
    let isAllowed = bucket.tokens >= 1_000
    if isAllowed { bucket.tokens -= 1_000 }
    if buckets[caller] == nil, buckets.count >= Self.callers { forget(at: now, full) }
    buckets[caller] = bucket
    return isAllowed ? nil : max(1, Int((1_000 - bucket.tokens + full - 1) / full))
  }

  private mutating func forget(at now: MonotonicTime, _ full: Int64) {
    buckets = buckets.filter { $0.value.tokens + (now - $0.value.at).milliseconds * rate < full }
    if buckets.count >= Self.callers { buckets = [:] }
  }
}

/// Bounds how many requests in a second one key sends; without a key, one address.
final class RateLimiter: Sendable {
  private let buckets: Mutex<TokenBuckets>
  private let clock: any MarketClock
  private let rate: Int64

  /// - rate: requests in a second; 0: no limit.
  init(rate: Int64, clock: any MarketClock) {
    self.rate = rate
    self.clock = clock
    buckets = Mutex(TokenBuckets(rate: rate))
  }

  /// Throws 429. Callers are told apart by a hash with this process's own seed; no key is kept.
  func check(key: String?, address: String?) throws(Problem) {
    guard rate > 0 else { return }
    var hasher = Hasher()
    hasher.combine(key)
    if key == nil { hasher.combine(address) }
    let (caller, now) = (hasher.finalize(), clock.monotonic)
    guard let seconds = buckets.withLock({ $0.take(caller, at: now) }) else { return }
    throw Problem(
      429, "rate_limited", "more than \(rate) requests in a second from one key or address", retryAfter: seconds)
  }
}
