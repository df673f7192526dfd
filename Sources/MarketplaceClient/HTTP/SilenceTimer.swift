import NIOCore

/// Tells when a peer has done nothing for a while. Costs one timer, not one for each sign of life.
///
/// Belongs to one event loop.
final class SilenceTimer {
  private let limit: TimeAmount
  private var eventLoop: (any EventLoop)?
  private var last = NIODeadline.distantPast
  private var isPaused = false
  private var timer: Scheduled<Void>?

  init(limit: TimeAmount) { self.limit = limit }

  /// Calls `expired` once, when `limit` has passed without a ``touch()``. Counts from now.
  func start(on eventLoop: any EventLoop, expired: @escaping @Sendable () -> Void) {
    self.eventLoop = eventLoop
    touch()
    schedule(last + limit, on: eventLoop, expired)
  }

  /// The peer gave a sign of life.
  func touch() {
    if let eventLoop { last = eventLoop.now }
    isPaused = false
  }

  /// Nothing is expected of the peer until the next ``touch()``.
  func pause() { isPaused = true }

  func stop() {
    timer?.cancel()
    timer = nil
  }

  private func schedule(_ moment: NIODeadline, on eventLoop: any EventLoop, _ expired: @escaping @Sendable () -> Void) {
    let bound = NIOLoopBound(self, eventLoop: eventLoop)
    timer = eventLoop.scheduleTask(deadline: moment) { bound.value.look(on: eventLoop, expired) }
  }

  private func look(on eventLoop: any EventLoop, _ expired: @escaping @Sendable () -> Void) {
    let due = (isPaused ? eventLoop.now : last) + limit
    if due <= eventLoop.now { expired() } else { schedule(due, on: eventLoop, expired) }
  }
}
