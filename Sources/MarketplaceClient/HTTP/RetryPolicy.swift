public import Marketplace
import Wire

/// When a call that failed is tried again: network errors, 429 and 5xx, with full jitter, not before `Retry-After`.
public struct RetryPolicy: Hashable, Sendable {
  /// How often a call is sent at most. Default 5; 1 means no retry.
  public var maximumAttempts: Int
  /// Default: 0.2 s doubling to 5 s.
  public var backoff: Backoff
  /// A `Retry-After` beyond this is reported to the caller instead of being waited for. Default 30 s.
  public var longestRetryAfter: Seconds

  public init(
    maximumAttempts: Int = 5, backoff: Backoff = Backoff(base: Seconds(milliseconds: 200), cap: Seconds(5)),
    longestRetryAfter: Seconds = Seconds(30)
  ) {
    self.maximumAttempts = maximumAttempts
    self.backoff = backoff
    self.longestRetryAfter = longestRetryAfter
  }

  /// The wait before the next attempt; nil when there is none. `attempt` is the number of attempts made so far.
  public func delay(
    after error: ClientError, attempt: Int, using generator: inout some RandomNumberGenerator
  ) -> Seconds? {
    guard attempt < maximumAttempts, Self.isTransient(error) else { return nil }
    let jitter = backoff.delay(attempt: attempt - 1, using: &generator)
    guard case .problem(let problem) = error, let seconds = problem.retryAfter else { return jitter }
    let asked = Seconds(Int64(seconds))
    guard asked <= longestRetryAfter else { return nil }
    return Seconds(milliseconds: asked.milliseconds + jitter.milliseconds)
  }

  /// Whether the same request may succeed later.
  public static func isTransient(_ error: ClientError) -> Bool {
    switch error {
    case .unreachable: true
    case .problem(let problem):
      problem.status == 429 || (problem.status >= 500 && problem.status != 501 && problem.status != 505)
    case .timedOut, .unexpected, .integrity, .file, .invalid: false
    }
  }
}
