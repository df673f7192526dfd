import Clocks
import Marketplace

/// Latest wins: of the values offered for a key, one leaves in each interval, and it is the newest.
struct Coalescer<Key: Hashable & Sendable, Value: Sendable>: Sendable {
  private struct Slot: Sendable {
    var emitted: MonotonicTime?
    var value: Value?
    /// Orders what is due; a change of it tells that the value was withdrawn.
    var stamp: UInt64
  }

  /// A value whose time has come.
  struct Due: Sendable {
    let key: Key
    let value: Value
    fileprivate let stamp: UInt64
  }

  let interval: Seconds
  private var slots: [Key: Slot] = [:]
  private var stamp: UInt64 = 0
  private(set) var waiting = 0

  init(interval: Seconds) { self.interval = interval }

  /// Keys remembered.
  var count: Int { slots.count }

  mutating func offer(_ value: Value, for key: Key) {
    stamp += 1
    if slots[key]?.value == nil {
      waiting += 1
      slots[key, default: Slot(stamp: stamp)].stamp = stamp
    }
    slots[key]?.value = value
  }

  /// What was offered for the key is out of date.
  mutating func withdraw(_ key: Key) {
    guard let slot = slots[key] else { return }
    stamp += 1
    if slot.value != nil { waiting -= 1 }
    slots[key]?.value = nil
    slots[key]?.stamp = stamp
  }

  /// Takes out what may leave now, in the order in which it began to wait, and forgets keys that fell silent.
  mutating func take(at now: MonotonicTime) -> [Due] {
    var due: [Due] = []
    for (key, slot) in slots {
      if let emitted = slot.emitted, now < emitted + interval { continue }
      if let value = slot.value {
        due.append(Due(key: key, value: value, stamp: slot.stamp))
        slots[key] = Slot(emitted: now, value: nil, stamp: slot.stamp)
      } else {
        slots[key] = nil
      }
    }
    waiting -= due.count
    return due.sorted { $0.stamp < $1.stamp }
  }

  /// Whether nothing was withdrawn or offered for the key since this was taken.
  func isCurrent(_ due: Due) -> Bool { slots[due.key]?.stamp == due.stamp }

  /// When the first waiting value may leave; in the past when it may leave at once. Nil: nothing waits.
  var nextDue: MonotonicTime? {
    guard waiting > 0 else { return nil }
    return slots.values.lazy.filter { $0.value != nil }
      .map { $0.emitted.map { $0 + interval } ?? MonotonicTime(milliseconds: .min) }.min()
  }
}
