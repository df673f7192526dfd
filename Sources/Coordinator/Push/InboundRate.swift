import Clocks
import Marketplace

/// Counts a client's messages in seconds that begin with a message.
struct InboundRate {
  private var start: MonotonicTime?
  private var count = 0

  /// False for the message past the limit.
  mutating func admit(at now: MonotonicTime, limit: Int) -> Bool {
    if let start, now < start + Seconds(1) {
      count += 1
    } else {
      start = now
      count = 1
    }
    return count <= limit
  }
}
