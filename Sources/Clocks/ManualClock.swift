public import Marketplace
import Synchronization

/// A clock that stands still until it is told to move; for tests and simulation.
public final class ManualClock: MarketClock {
  private struct Sleeper {
    let id: Int
    let deadline: MonotonicTime
    let continuation: CheckedContinuation<Void, any Error>
  }

  private struct State {
    var wall: Timestamp
    var monotonic = MonotonicTime(milliseconds: 0)
    var sleepers: [Sleeper] = []
    var canceled: Set<Int> = []
    var nextID = 0
  }

  private let state: Mutex<State>

  /// Starts at `wall`; monotonic time starts at 0.
  public init(wall: Timestamp = Timestamp(milliseconds: 1_770_000_000_000)) { state = Mutex(State(wall: wall)) }

  public var now: Timestamp { state.withLock { $0.wall } }
  public var monotonic: MonotonicTime { state.withLock { $0.monotonic } }

  /// How many tasks sleep on it.
  public var sleeperCount: Int { state.withLock { $0.sleepers.count } }

  /// Moves both clocks and wakes who is due, earliest first. A negative span moves only the wall clock.
  public func advance(by span: Seconds) {
    let due = state.withLock { state in
      state.wall = state.wall + span
      state.monotonic = max(state.monotonic, state.monotonic + span)
      let now = state.monotonic
      let due = state.sleepers.filter { $0.deadline <= now }.sorted { $0.deadline < $1.deadline }
      state.sleepers.removeAll { $0.deadline <= now }
      return due
    }
    for sleeper in due { sleeper.continuation.resume() }
  }

  /// Sets the wall clock alone, as an operator or NTP would.
  public func jump(to wall: Timestamp) { state.withLock { $0.wall = wall } }

  public func sleep(until deadline: MonotonicTime) async throws {
    let id = state.withLock { state in
      state.nextID += 1
      return state.nextID
    }
    // A cancel that came after the wake-up left a note that nobody else takes away.
    defer { state.withLock { _ = $0.canceled.remove(id) } }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let outcome: Result<Void, any Error>? = state.withLock { state in
          if state.canceled.remove(id) != nil || Task.isCancelled { return .failure(CancellationError()) }
          if deadline <= state.monotonic { return .success(()) }
          state.sleepers.append(Sleeper(id: id, deadline: deadline, continuation: continuation))
          return nil
        }
        if let outcome { continuation.resume(with: outcome) }
      }
    } onCancel: {
      let sleeper = state.withLock { state -> Sleeper? in
        guard let index = state.sleepers.firstIndex(where: { $0.id == id }) else {
          state.canceled.insert(id)
          return nil
        }
        return state.sleepers.remove(at: index)
      }
      sleeper?.continuation.resume(throwing: CancellationError())
    }
  }
}
