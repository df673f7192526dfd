import NIOCore

/// Tells when a peer has done nothing for a while. Costs one timer, not one for each sign of life.
///
/// Belongs to one event loop.
final class SilenceTimer {
  private let limit: TimeAmount
  private var last = NIODeadline.distantPast
  private var isPaused = false
  private var timer: Scheduled<Void>?

  init(limit: TimeAmount) { self.limit = limit }

  /// Calls `expired` once, when `limit` has passed without a ``touch()``. Counts from now.
  func start(on eventLoop: any EventLoop, expired: @escaping @Sendable () -> Void) {
    touch()
    schedule(on: eventLoop, expired)
  }

  /// The peer gave a sign of life.
  func touch() {
    last = .now()
    isPaused = false
  }

  /// Nothing is expected of the peer until the next ``touch()``.
  func pause() { isPaused = true }

  func stop() {
    timer?.cancel()
    timer = nil
  }

  private func schedule(on eventLoop: any EventLoop, _ expired: @escaping @Sendable () -> Void) {
    let bound = NIOLoopBound(self, eventLoop: eventLoop)
    timer = eventLoop.scheduleTask(deadline: (isPaused ? .now() : last) + limit) {
      let timer = bound.value
      if !timer.isPaused, timer.last + timer.limit <= .now() {
        expired()
      } else {
        timer.schedule(on: eventLoop, expired)
      }
    }
  }
}
