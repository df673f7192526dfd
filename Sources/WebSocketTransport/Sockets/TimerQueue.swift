import NIOCore

/// What an event loop has to do later. A loop has few timers (connections share a ``DeadlineWheel``), so a sorted array
/// will do.
struct TimerQueue {
  private struct Entry {
    let id: UInt64
    let deadline: NIODeadline
    let body: @Sendable () -> Void
  }

  /// The latest first.
  private var entries: [Entry] = []

  /// When the first is due.
  var next: NIODeadline? { entries.last?.deadline }

  /// Those with the same deadline run in the order in which they were added.
  mutating func add(_ id: UInt64, at deadline: NIODeadline, _ body: @escaping @Sendable () -> Void) {
    let index = entries.firstIndex { $0.deadline <= deadline } ?? entries.count
    entries.insert(Entry(id: id, deadline: deadline, body: body), at: index)
  }

  mutating func remove(_ id: UInt64) { entries.removeAll { $0.id == id } }

  /// Takes the first one out when it is due.
  mutating func take(at now: NIODeadline) -> (@Sendable () -> Void)? {
    guard let last = entries.last, last.deadline <= now else { return nil }
    entries.removeLast()
    return last.body
  }
}
