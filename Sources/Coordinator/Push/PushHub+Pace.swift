import Clocks
import Marketplace
import WebSocketTransport
import Wire

extension PushHub {
  /// Sets the timer for what waits to leave, unless it is set. One timer for all keys.
  func setTimer() {
    let due: MonotonicTime? = withState { state in
      guard !state.isTimerSet else { return nil }
      guard let due = [state.progress.nextDue, state.market.nextDue].compactMap(\.self).min() else { return nil }
      state.isTimerSet = true
      return max(due, clock.monotonic + limits.progressTick)
    }
    guard let due else { return }
    Task { [clock, weak self] in
      // Cancellation can only come with the end of the process.
      try? await clock.sleep(until: due)
      self?.timerFired()
    }
  }

  private func timerFired() {
    let now = clock.monotonic
    let (progress, market) = withState { state in
      state.isTimerSet = false
      return (state.progress.take(at: now), state.market.take(at: now))
    }
    // Encoded outside the lock.
    let messages = progress.map { FeedEncoder.frame(of: .progress($0.value.progress)) }
    let figures = market.map { FeedEncoder.frame(of: $0.value) }
    withState { state in
      for (due, frame) in zip(progress, messages) where state.progress.isCurrent(due) {
        state.put(frame, for: due.key.rawValue, in: [.account(due.value.account), .job(due.key)])
      }
      for frame in figures { state.put(frame, for: "market", in: [.market]) }
    }
    setTimer()
  }
}
