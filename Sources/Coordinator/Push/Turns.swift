import DequeModule

/// Lets a few of many do something that takes memory while it lasts; the others wait, first come first served.
///
/// `@unchecked Sendable`: used on one event loop only.
final class Turns: @unchecked Sendable {
  /// What is done in a turn. `end` must be called once, on the loop.
  typealias Body = (_ end: @escaping @Sendable () -> Void) -> Void

  private let limit: Int
  private var running = 0
  private var waiting: Deque<Body> = []
  private var isGivingTurns = false

  /// - limit: turns at the same time; at least 1.
  init(_ limit: Int) { self.limit = max(1, limit) }

  func take(_ body: @escaping Body) {
    waiting.append(body)
    giveTurns()
  }

  /// Turns may end at once: a loop, so that thousands of these don't stand on the stack.
  private func giveTurns() {
    guard !isGivingTurns else { return }
    isGivingTurns = true
    while running < limit, let body = waiting.popFirst() {
      running += 1
      body {
        self.running -= 1
        self.giveTurns()
      }
    }
    isGivingTurns = false
  }
}
