import DequeModule
import NIOCore
import NIOPosix
import Synchronization

/// The connections to one coordinator: at most `maximum` at a time, those without work kept for 30 s.
///
/// Calls beyond that wait in the order in which they came.
final class ConnectionPool: Sendable {
  /// A connection that was given to one call.
  struct Loan: Sendable {
    let connection: HTTPConnection
    let number: Int
  }

  /// After this long an idle connection is not used again: something on the way may have forgotten it.
  private static let idleLimit = TimeAmount.seconds(30)

  private enum Grant {
    case use(Loan)
    /// A place for a new connection, which will have this number.
    case open(Int)
  }

  private struct Waiter {
    let number: Int
    let continuation: CheckedContinuation<Grant, any Error>
  }

  private struct State {
    var connections: [Int: HTTPConnection] = [:]
    var idle: [(number: Int, since: NIODeadline)] = []
    var opening: Set<Int> = []
    var waiting: Deque<Waiter> = []
    var last = 0
    var isShutDown = false

    mutating func nextNumber() -> Int {
      last += 1
      return last
    }

    mutating func place() -> Grant {
      let number = nextNumber()
      opening.insert(number)
      return .open(number)
    }
  }

  private let maximum: Int
  private let target: HTTPConnection.Target
  private let state = Mutex(State())

  init(_ target: HTTPConnection.Target, maximum: Int) {
    self.target = target
    self.maximum = max(1, maximum)
  }

  /// A connection nobody else has: an idle one, or a new one, after waiting for a place when there is none.
  ///
  /// It comes back by itself when its exchange ends; one that is not used is given to ``discard(_:)``.
  func take(before deadline: NIODeadline) async throws -> Loan {
    switch try await grant(before: deadline) {
    case .use(let loan): return loan
    case .open(let number): return try await open(number, before: deadline)
    }
  }

  /// The connection is of no use.
  func discard(_ loan: Loan) {
    loan.connection.abort(ConnectionFailure.notSent)
    ended(loan.number, reusable: false)
  }

  /// Closes all connections; calls under way and calls that wait fail.
  func shutdown() async {
    let (connections, waiting) = state.withLock { state in
      state.isShutDown = true
      defer { state.waiting = [] }
      return (Array(state.connections.values), state.waiting)
    }
    for waiter in waiting { waiter.continuation.resume(throwing: ConnectionFailure.shutDown) }
    for connection in connections { connection.abort(ConnectionFailure.shutDown) }
    for connection in connections { try? await connection.channel.closeFuture.get() }
  }

  private func grant(before deadline: NIODeadline) async throws -> Grant {
    let number = state.withLock { $0.nextNumber() }
    let timeout =
      deadline == .distantFuture
      ? nil
      : MultiThreadedEventLoopGroup.singleton.next().scheduleTask(deadline: deadline) { [self] in
        giveUp(number, ConnectionFailure.deadline)
      }
    defer { timeout?.cancel() }
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        state.withLock { enter(Waiter(number: number, continuation: continuation), &$0) }
      }
    } onCancel: {
      giveUp(number, CancellationError())
    }
  }

  /// Nobody waits under this number any more.
  private func giveUp(_ number: Int, _ error: any Error) {
    let waiter = state.withLock { state in
      state.waiting.firstIndex { $0.number == number }.map { state.waiting.remove(at: $0) }
    }
    waiter?.continuation.resume(throwing: error)
  }

  private func enter(_ waiter: Waiter, _ state: inout State) {
    if Task.isCancelled { return waiter.continuation.resume(throwing: CancellationError()) }
    if state.isShutDown { return waiter.continuation.resume(throwing: ConnectionFailure.shutDown) }
    let oldest = NIODeadline.now() - Self.idleLimit
    while let (number, since) = state.idle.popLast() {
      guard let connection = state.connections[number] else { continue }
      if since >= oldest {
        return waiter.continuation.resume(returning: .use(Loan(connection: connection, number: number)))
      }
      state.connections[number] = nil
      connection.abort(ConnectionFailure.notSent)
    }
    guard state.connections.count + state.opening.count < maximum else { return state.waiting.append(waiter) }
    waiter.continuation.resume(returning: state.place())
  }

  private func open(_ number: Int, before deadline: NIODeadline) async throws -> Loan {
    do {
      let connection = try await HTTPConnection.open(target, before: deadline) { [weak self] in
        self?.ended(number, reusable: $0)
      }
      let isShutDown = state.withLock { state in
        state.opening.remove(number)
        if !state.isShutDown { state.connections[number] = connection }
        return state.isShutDown
      }
      guard !isShutDown else {
        connection.abort(ConnectionFailure.shutDown)
        throw ConnectionFailure.shutDown
      }
      return Loan(connection: connection, number: number)
    } catch {
      state.withLock { state in
        if state.opening.remove(number) != nil { passOn(&state) }
      }
      throw error
    }
  }

  /// An exchange has ended, or an idle connection has closed. A number that is not known says nothing.
  private func ended(_ number: Int, reusable: Bool) {
    state.withLock { state in
      guard let connection = state.connections[number] else { return }
      if reusable, !state.isShutDown {
        if let waiter = state.waiting.popFirst() {
          waiter.continuation.resume(returning: .use(Loan(connection: connection, number: number)))
        } else {
          state.idle.append((number, .now()))
        }
      } else {
        state.connections[number] = nil
        state.idle.removeAll { $0.number == number }
        passOn(&state)
      }
    }
  }

  /// A place became free.
  private func passOn(_ state: inout State) {
    guard let waiter = state.waiting.popFirst() else { return }
    waiter.continuation.resume(returning: state.place())
  }
}
