import Dispatch
import Synchronization

/// A bounded queue between tasks that ask and threads that do.
final class WorkQueue<Item: Sendable>: Sendable {
  private struct State {
    var items: [Item] = []
    /// Items before this index are taken already.
    var head = 0
    var waiting = 0
    var isClosed = false

    var count: Int { items.count - head }
  }

  private let limit: Int
  private let state = Mutex(State())
  private let wake = DispatchSemaphore(value: 0)

  init(limit: Int) { self.limit = limit }

  /// Throws ``StoreError/busy`` when it is full and ``StoreError/closed`` after ``close()``.
  func add(_ item: Item) throws(StoreError) {
    let outcome: Result<Bool, StoreError> = state.withLock { state in
      guard !state.isClosed else { return .failure(.closed) }
      guard state.count < limit else { return .failure(.busy) }
      state.items.append(item)
      guard state.waiting > 0 else { return .success(false) }
      state.waiting -= 1
      return .success(true)
    }
    if try outcome.get() { wake.signal() }
  }

  /// What waits, oldest first, at most `limit` of it; blocks while there is nothing. Nil when it is closed and empty.
  func take(upTo limit: Int) -> [Item]? {
    while true {
      let taken: [Item]? = state.withLock { state in
        if state.count > 0 { return Self.removeFirst(limit, from: &state) }
        if state.isClosed { return [] }
        state.waiting += 1
        return nil
      }
      if let taken { return taken.isEmpty ? nil : taken }
      wake.wait()
    }
  }

  /// Takes no more; what is in it will still be taken.
  func close() {
    let waiting = state.withLock { state in
      state.isClosed = true
      defer { state.waiting = 0 }
      return state.waiting
    }
    for _ in 0..<waiting { wake.signal() }
  }

  private static func removeFirst(_ limit: Int, from state: inout State) -> [Item] {
    let end = min(state.items.count, state.head + limit)
    let taken = Array(state.items[state.head..<end])
    state.head = end
    if state.head == state.items.count {
      state.items.removeAll(keepingCapacity: true)
      state.head = 0
    } else if state.head > state.items.count / 2 {
      state.items.removeFirst(state.head)
      state.head = 0
    }
    return taken
  }
}
