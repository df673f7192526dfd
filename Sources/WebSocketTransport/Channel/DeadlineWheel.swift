import NIOCore

/// What a wheel calls.
protocol DeadlineHolder: AnyObject {
  /// Where the wheel keeps the holder; nobody else touches it.
  var wheelPosition: DeadlineWheel.Position { get set }

  /// The deadline has come. Returns the next one.
  func deadlineReached(_ now: NIODeadline) -> NIODeadline?
}

/// Deadlines of all connections of an event loop with one timer: a connection costs 8 bytes in a slot, not a scheduled
/// task. Fires at most one tick early.
final class DeadlineWheel {
  struct Position {
    var slot: Int32 = -1
    var index: Int32 = -1
  }

  /// Default 500 ms.
  let tick: TimeAmount
  private let eventLoop: any EventLoop
  private var slots: [[any DeadlineHolder]]
  private var count = 0
  /// The last tick that was handled.
  private var current: UInt64
  private var timer: RepeatedTask?

  /// - Parameter slotCount: deadlines further away than this many ticks come early; holders then ask for the rest.
  init(eventLoop: any EventLoop, tick: TimeAmount = .milliseconds(500), slotCount: Int = 128) {
    self.eventLoop = eventLoop
    self.tick = tick
    slots = Array(repeating: [], count: slotCount)
    current = eventLoop.now.uptimeNanoseconds / UInt64(tick.nanoseconds)
  }

  /// Sets the holder's only deadline; nil: none.
  func set(_ deadline: NIODeadline?, for holder: any DeadlineHolder) {
    remove(holder)
    guard let deadline else { return stopIfEmpty() }
    if count == 0 { current = eventLoop.now.uptimeNanoseconds / UInt64(tick.nanoseconds) }
    let wanted = deadline.uptimeNanoseconds / UInt64(tick.nanoseconds)
    let slotTick = min(max(wanted, current + 1), current + UInt64(slots.count - 1))
    let slot = Int(slotTick % UInt64(slots.count))
    holder.wheelPosition = Position(slot: Int32(slot), index: Int32(slots[slot].count))
    slots[slot].append(holder)
    count += 1
    startTimer()
  }

  private func remove(_ holder: any DeadlineHolder) {
    let position = holder.wheelPosition
    guard position.slot >= 0 else { return }
    let (slot, index) = (Int(position.slot), Int(position.index))
    let last = slots[slot].removeLast()
    if index < slots[slot].count {
      slots[slot][index] = last
      last.wheelPosition = position
    }
    holder.wheelPosition = Position()
    count -= 1
  }

  private func startTimer() {
    guard timer == nil else { return }
    // The timer keeps the wheel alive, and stops when the wheel is empty.
    let wheel = NIOLoopBound(self, eventLoop: eventLoop)
    timer = eventLoop.scheduleRepeatedTask(initialDelay: tick, delay: tick) { _ in wheel.value.turn() }
  }

  private func stopIfEmpty() {
    guard count == 0 else { return }
    timer?.cancel()
    timer = nil
  }

  private func turn() {
    let now = eventLoop.now
    let target = now.uptimeNanoseconds / UInt64(tick.nanoseconds)
    // After a long stall one round visits every slot.
    var steps = min(target - min(current, target), UInt64(slots.count))
    current = max(current, target - steps)
    while steps > 0 {
      steps -= 1
      current += 1
      let slot = Int(current % UInt64(slots.count))
      let due = slots[slot]
      guard !due.isEmpty else { continue }
      slots[slot] = []
      count -= due.count
      for holder in due { holder.wheelPosition = Position() }
      // A holder may have set a new deadline for another one of the batch, or for itself, inside the call.
      for holder in due {
        if let next = holder.deadlineReached(now) { set(next, for: holder) }
      }
    }
    stopIfEmpty()
  }
}
