import Clocks
import Marketplace
import TestRandomness

/// One seeded run in virtual time: what happens stands in a queue by its moment, and happens one after the other on one
/// thread. All chance comes from the seed, so that a seed that failed fails again.
///
/// `@unchecked Sendable`, as all that lives in it: product types ask for it, and only the thread that steps the world
/// touches anything.
final class World: @unchecked Sendable {
  let seed: UInt64
  var random: SeededGenerator
  /// Milliseconds since the beginning.
  private(set) var now: Int64 = 0
  /// The first promise that was broken.
  private(set) var violation: String?
  /// What happened, when it is to be told.
  private(set) var trace: [String] = []
  private let isTracing: Bool
  private var agenda = Agenda()
  private(set) var steps = 0

  /// Wall-clock time at the beginning.
  static let start = Timestamp(milliseconds: 1_770_000_000_000)

  init(seed: UInt64, isTracing: Bool) {
    self.seed = seed
    self.isTracing = isTracing
    random = SeededGenerator(seed: seed)
  }

  /// True time.
  var wall: Timestamp { Self.start + Seconds(milliseconds: now) }

  /// Does it `delay` milliseconds from now, after all that was planned for that moment before.
  func after(_ delay: Int64, _ body: @escaping () -> Void) { agenda.add(at: now + max(0, delay), body) }

  /// Does it again and again until the world ends.
  func every(_ interval: Int64, _ body: @escaping () -> Void) {
    after(interval) {
      body()
      self.every(interval, body)
    }
  }

  /// The next thing. False when there is none before `end`, or a promise is broken.
  func step(until end: Int64) -> Bool {
    guard violation == nil, let next = agenda.removeFirst(before: end) else { return false }
    now = next.time
    steps += 1
    next.body()
    return violation == nil
  }

  /// Forgets all plans, and with them what they hold.
  func end() { agenda = Agenda() }

  func note(_ text: @autoclosure () -> String) {
    if isTracing { trace.append("\(now) \(text())") }
  }

  func violate(_ text: String) {
    note("VIOLATION \(text)")
    if violation == nil { violation = "at \(now) ms: \(text)" }
  }

  // MARK: Chance

  func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }
  func number(_ range: ClosedRange<Int64>) -> Int64 { .random(in: range, using: &random) }

  /// An exponential wait in milliseconds, at most 20 times the mean.
  func wait(mean: Int64) -> Int64 {
    guard mean > 0 else { return 0 }
    let draw = Double.random(in: 0.000_000_001...1, using: &random)
    return min(mean * 20, Int64(-Double(mean) * Logarithm.natural(draw)))
  }

  func newID<Kind>(_: Kind.Type = Kind.self) -> Identifier<Kind> { Identifier(at: wall, using: &random) }
  func newToken(_ prefix: String) -> String { "\(prefix)\(random.next())\(random.next())" }
}

/// What is to happen: a binary heap by time, then by the order of planning.
private struct Agenda {
  struct Item {
    let time: Int64
    let order: Int
    let body: () -> Void
    static func < (left: Item, right: Item) -> Bool {
      left.time != right.time ? left.time < right.time : left.order < right.order
    }
  }

  private var items: [Item] = []
  private var order = 0

  mutating func add(at time: Int64, _ body: @escaping () -> Void) {
    order += 1
    items.append(Item(time: time, order: order, body: body))
    var child = items.count - 1
    while child > 0, case let parent = (child - 1) / 2, items[child] < items[parent] {
      items.swapAt(child, parent)
      child = parent
    }
  }

  mutating func removeFirst(before end: Int64) -> Item? {
    guard let first = items.first, first.time < end else { return nil }
    items.swapAt(0, items.count - 1)
    items.removeLast()
    var parent = 0
    while case let left = parent * 2 + 1, left < items.count {
      let right = left + 1
      let child = right < items.count && items[right] < items[left] ? right : left
      guard items[child] < items[parent] else { break }
      items.swapAt(child, parent)
      parent = child
    }
    return first
  }
}
