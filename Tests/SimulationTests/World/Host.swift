import Clocks
import Marketplace

/// A machine with a process: it can be stopped and go on, die and start anew, and its clocks are its own.
final class Host: @unchecked Sendable {
  let world: World
  let name: String
  let clock: HostClock
  private(set) var isUp = true
  /// Rises with every death: what an earlier life had planned does not happen.
  private(set) var life = 0
  /// Its process stands still until then.
  private(set) var stalledUntil: Int64 = 0
  private var frozenUntil: Int64 = 0

  init(_ world: World, name: String, clock: HostClock) {
    self.world = world
    self.name = name
    self.clock = clock
  }

  var isStalled: Bool { world.now < stalledUntil }
  /// The whole machine stands still, not just its process.
  var isFrozen: Bool { world.now < frozenUntil }

  /// Does it on this machine: not while it is stopped, and not after a death.
  func after(_ delay: Int64, _ body: @escaping () -> Void) {
    let life = life
    world.after(delay) { self.run(life, body) }
  }

  private func run(_ life: Int, _ body: @escaping () -> Void) {
    guard isUp, life == self.life else { return }
    guard isStalled else { return body() }
    world.after(stalledUntil - world.now) { self.run(life, body) }
  }

  func every(_ interval: Int64, _ body: @escaping () -> Void) {
    after(interval) {
      body()
      self.every(interval, body)
    }
  }

  /// The process is stopped; with `wholly` everything on its machine is.
  func stall(_ span: Int64, wholly: Bool) {
    world.note("\(name) stops\(wholly ? ", with its machine," : "") for \(span) ms")
    stalledUntil = max(stalledUntil, world.now + span)
    if wholly { frozenUntil = max(frozenUntil, world.now + span) }
  }

  /// Does it on this machine whether or not its process is stopped; not after the process's death.
  func besides(_ delay: Int64, _ body: @escaping () -> Void) {
    let life = life
    world.after(delay) { [self] in
      guard isUp, life == self.life else { return }
      isFrozen ? besides(frozenUntil - world.now, body) : body()
    }
  }

  func die() {
    world.note("\(name) dies")
    isUp = false
    life += 1
    stalledUntil = 0
    frozenUntil = 0
  }

  func boot() {
    world.note("\(name) starts")
    isUp = true
  }

  /// What is wrong with it passes. A standstill lasts as long as it was to: what its machine had put off, such as the end
  /// of a payload at its fence, must come before anything new.
  func heal() { clock.wallError = 0 }
}

/// A machine's clocks: monotonic time runs a little fast or slow, and the wall clock may be set wrong.
final class HostClock: MarketClock, @unchecked Sendable {
  private unowned let world: World
  private let boot: Int64
  /// Thousandths that it runs too fast.
  private let drift: Int64
  /// Milliseconds.
  var wallError: Int64 = 0

  init(_ world: World, boot: Int64, drift: Int64) {
    self.world = world
    self.boot = boot
    self.drift = drift
  }

  var now: Timestamp { world.wall + Seconds(milliseconds: wallError) }
  var monotonic: MonotonicTime { MonotonicTime(milliseconds: boot + world.now + world.now * drift / 1000) }
  /// Nothing in the simulation sleeps.
  func sleep(until deadline: MonotonicTime) async throws { throw CancellationError() }
}
