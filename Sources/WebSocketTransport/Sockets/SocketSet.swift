import NIOConcurrencyHelpers
import NIOCore

/// The sockets that left the channels of one server: how many there are, and how they are told to stop.
final class SocketSet: Sendable {
  private struct State {
    var count = 0
    var isStopping = false
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  private let state = NIOLockedValueBox(State())

  /// Open connections.
  var count: Int { state.withLockedValue { $0.count } }

  /// Those that come from now on are told at once.
  var isStopping: Bool { state.withLockedValue { $0.isStopping } }

  func opened() { state.withLockedValue { $0.count += 1 } }

  func closed() {
    let waiters = state.withLockedValue { state in
      state.count -= 1
      guard state.count == 0 else { return [CheckedContinuation<Void, Never>]() }
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }

  /// Tells every connection that the server stops.
  func stop() {
    state.withLockedValue { $0.isStopping = true }
    for loop in SocketLoops.all {
      loop.execute { loop.forEachCarrier { $0.quiesce(self) } }
    }
  }

  /// Returns when none is open.
  func wait() async {
    await withCheckedContinuation { continuation in
      let isEmpty = state.withLockedValue { state in
        if state.count > 0 { state.waiters.append(continuation) }
        return state.count == 0
      }
      if isEmpty { continuation.resume() }
    }
  }
}
