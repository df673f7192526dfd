import Clocks
import Marketplace
import Synchronization
import Testing

private final class Recorder<Value: Sendable>: Sendable {
  private let values = Mutex<[Value]>([])
  var all: [Value] { values.withLock { $0 } }
  func append(_ value: Value) { values.withLock { $0.append(value) } }
}

/// No test here waits for real time: the clock stands still until it is told to move.
@Suite(.timeLimit(.minutes(5))) struct ManualClockTests {
  /// Yields until so many tasks sleep.
  private func wait(for clock: ManualClock, sleepers count: Int) async {
    while clock.sleeperCount != count { await Task.yield() }
  }

  @Test func standsStill() {
    let clock = ManualClock(wall: Timestamp(milliseconds: 5_000))
    #expect(clock.now == Timestamp(milliseconds: 5_000) && clock.monotonic == MonotonicTime(milliseconds: 0))
    clock.advance(by: Seconds(2))
    #expect(clock.now == Timestamp(milliseconds: 7_000) && clock.monotonic == MonotonicTime(milliseconds: 2_000))
    clock.jump(to: Timestamp(milliseconds: 1))
    #expect(clock.now == Timestamp(milliseconds: 1) && clock.monotonic == MonotonicTime(milliseconds: 2_000))
  }

  @Test func monotonicNeverGoesBack() {
    let clock = ManualClock(wall: Timestamp(milliseconds: 5_000))
    clock.advance(by: Seconds(-1))
    #expect(clock.now == Timestamp(milliseconds: 4_000) && clock.monotonic == MonotonicTime(milliseconds: 0))
  }

  @Test func pastDeadlinesReturnAtOnce() async throws {
    let clock = ManualClock()
    clock.advance(by: Seconds(3))
    try await clock.sleep(until: MonotonicTime(milliseconds: 3_000))
    try await clock.sleep(until: MonotonicTime(milliseconds: -1))
    try await clock.sleep(for: Seconds(0))
    #expect(clock.sleeperCount == 0)
  }

  @Test func wakesWhoIsDueAndNobodyElse() async throws {
    let clock = ManualClock()
    let woken = Recorder<Int>()
    try await withThrowingTaskGroup { group in
      for second in [3, 1, 2] {
        group.addTask {
          try await clock.sleep(for: Seconds(Int64(second)))
          woken.append(second)
        }
      }
      await wait(for: clock, sleepers: 3)
      clock.advance(by: Seconds(milliseconds: 999))
      #expect(clock.sleeperCount == 3)
      clock.advance(by: Seconds(milliseconds: 1))
      #expect(clock.sleeperCount == 2)
      try await group.next()
      #expect(woken.all == [1])
      clock.advance(by: Seconds(10))
      #expect(clock.sleeperCount == 0)
      try await group.waitForAll()
    }
    #expect(woken.all.sorted() == [1, 2, 3])
  }

  /// On one executor, the order of wake-ups is the order of deadlines, not of falling asleep.
  @MainActor @Test func wakesInOrderOfDeadlines() async throws {
    let clock = ManualClock()
    let order = Recorder<Int64>()
    var tasks: [Task<Void, any Error>] = []
    for deadline: Int64 in [500, 100, 400, 200, 300] {
      tasks.append(
        Task { @MainActor in
          try await clock.sleep(until: MonotonicTime(milliseconds: deadline))
          order.append(deadline)
        })
      await wait(for: clock, sleepers: tasks.count)
    }
    for step in 1...5 {
      clock.advance(by: Seconds(milliseconds: 100))
      while order.all.count < step { await Task.yield() }
    }
    for task in tasks { try await task.value }
    #expect(order.all == [100, 200, 300, 400, 500])
  }

  @Test func cancelWakesWithAnError() async {
    let clock = ManualClock()
    let task = Task { try await clock.sleep(for: Seconds(1)) }
    await wait(for: clock, sleepers: 1)
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(clock.sleeperCount == 0)
    clock.advance(by: Seconds(2))
  }

  @Test func canceledBeforeItSleeps() async {
    let clock = ManualClock()
    let task = Task {
      while !Task.isCancelled { await Task.yield() }
      try await clock.sleep(for: Seconds(1))
    }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(clock.sleeperCount == 0)
  }

  /// Cancel and wake-up race; each sleeper is resumed exactly once either way.
  @Test func cancelAgainstAdvance() async {
    let clock = ManualClock()
    for _ in 0..<300 {
      let task = Task { try await clock.sleep(for: Seconds(1)) }
      await wait(for: clock, sleepers: 1)
      async let advanced: Void = clock.advance(by: Seconds(1))
      task.cancel()
      await advanced
      switch await task.result {
      case .success: break
      case .failure(let error): #expect(error is CancellationError)
      }
      #expect(clock.sleeperCount == 0)
    }
  }
}

@Suite struct MonotonicTimeTests {
  @Test func arithmetic() {
    let time = MonotonicTime(milliseconds: 1_000)
    #expect(time + Seconds(2) == MonotonicTime(milliseconds: 3_000))
    #expect(time - MonotonicTime(milliseconds: 4_000) == Seconds(-3))
    #expect(time < time + Seconds(milliseconds: 1))
  }

  @Test func saturates() {
    let (first, last) = (MonotonicTime(milliseconds: .min), MonotonicTime(milliseconds: .max))
    #expect(last + Seconds(1) == last && first + Seconds(-1) == first)
    #expect(last - first == Seconds(milliseconds: .max) && first - last == Seconds(milliseconds: .min))
  }
}

@Suite(.timeLimit(.minutes(5))) struct SystemClockTests {
  @Test func readings() {
    let clock = SystemClock()
    #expect(clock.now > Timestamp(milliseconds: 1_767_225_600_000), "before 2026")
    let first = clock.monotonic
    #expect(clock.monotonic >= first)
  }

  @Test func pastDeadlinesReturnAtOnce() async throws {
    try await SystemClock().sleep(until: MonotonicTime(milliseconds: .min))
    try await SystemClock().sleep(for: Seconds(-5))
  }

  /// "Never" can be waited for and canceled.
  @Test(arguments: [Int64.max, Int64.max - 1, 1 << 55]) func cancelNever(deadline: Int64) async {
    let task = Task { try await SystemClock().sleep(until: MonotonicTime(milliseconds: deadline)) }
    await Task.yield()
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
  }

  @Test func canceledBefore() async {
    let task = Task {
      while !Task.isCancelled { await Task.yield() }
      try await SystemClock().sleep(until: MonotonicTime(milliseconds: 0))
    }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
  }
}
