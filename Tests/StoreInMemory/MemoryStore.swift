public import Clocks
import Dispatch
import Marketplace
public import Store
import Synchronization

/// A market in memory, for tests and the simulation: it does what the contract suite asks of every store, and models
/// durability in the open.
///
/// Operations run in an open group. What is in it can be seen by later operations of the group, but by no reader, until
/// ``sync()`` makes the group durable; ``crash()`` loses it. Nothing that was synced is ever lost.
public final class MemoryStore: MarketStore {
  private struct State {
    var durable = MemoryTables()
    /// The group that is not durable yet.
    var open: MemoryTables?
    var events: [JobEvent] = []
    var handler: (@Sendable ([JobEvent]) -> Void)?
    var fault: StoreError?
    var waiting: [PendingWrite] = []
    var isClosed = false
  }

  public let epoch: String
  private let clock: any MarketClock
  private let sabotage: Set<Sabotage>
  private let state = Mutex(State())
  private let writer = DispatchQueue(label: "store in memory: writer")
  private let readers = DispatchQueue(label: "store in memory: readers", attributes: .concurrent)

  public init(clock: any MarketClock, epoch: String = "epoch-in-memory", sabotage: Set<Sabotage> = []) {
    self.clock = clock
    self.epoch = epoch
    self.sabotage = sabotage
  }

  // MARK: Step by step, for the simulation

  /// Runs an operation in the open group. What it throws is thrown here, and nothing it did remains.
  public func perform<Value>(_ body: (any MarketTransaction) throws -> Value) throws -> Value {
    let (tables, eventCount, fault) = state.withLock { ($0.open ?? $0.durable, $0.events.count, $0.fault) }
    if let fault { throw fault }
    let session = MemorySession(tables, clock: clock, sabotage: sabotage)
    let value = try body(session)
    // An operation that swallowed a failure may have done half of something.
    if let failure = session.failure { throw failure }
    state.withLock { state in
      precondition(state.events.count == eventCount, "one operation at a time")
      state.open = session.tables
      state.events += session.events
    }
    return value
  }

  /// Makes the open group durable. Returns its events in order, for the readers of the log.
  public func sync() -> [JobEvent] {
    state.withLock { state in
      if let open = state.open { state.durable = open }
      state.open = nil
      defer { state.events = [] }
      return state.events
    }
  }

  /// What the open group has appended to the log.
  public var openEvents: [JobEvent] { state.withLock { $0.events } }

  /// Loses the open group, as a kill or a power cut does.
  public func crash() {
    state.withLock { state in
      state.open = nil
      state.events = []
    }
  }

  /// Reads what is durable.
  public func look<Value>(_ body: (any MarketReader) throws -> Value) rethrows -> Value {
    try body(MemorySession(state.withLock { $0.durable }, clock: clock, sabotage: []))
  }

  /// From now on every operation fails so, until nil is set: a full disk.
  public func fail(with fault: StoreError?) { state.withLock { $0.fault = fault } }

  // MARK: MarketStore

  public func setEventHandler(_ handler: @escaping @Sendable ([JobEvent]) -> Void) {
    state.withLock { $0.handler = handler }
  }

  public func write<Value: Sendable>(
    _ body: @escaping @Sendable (any MarketTransaction) throws -> Value
  ) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
      let result = Mutex<Result<Value, any Error>>(.failure(StoreError.closed))
      let work = PendingWrite(
        run: { store in result.withLock { $0 = Result { try store.perform(body) } } },
        answer: { continuation.resume(with: result.withLock { $0 }) })
      let isTaken = state.withLock { state in
        guard !state.isClosed else { return false }
        state.waiting.append(work)
        return true
      }
      if isTaken { writer.async { self.commit() } } else { work.answer() }
    }
  }

  /// What waits becomes one group: run, made durable, published, and only then answered.
  private func commit() {
    let group = state.withLock { state in
      defer { state.waiting = [] }
      return state.waiting
    }
    guard !group.isEmpty else { return }
    for work in group { work.run(self) }
    let events = sync()
    if !events.isEmpty { state.withLock { $0.handler }?(events) }
    for work in group { work.answer() }
  }

  public func read<Value: Sendable>(
    _ body: @escaping @Sendable (any MarketReader) throws -> Value
  ) async throws -> Value {
    guard !state.withLock({ $0.isClosed }) else { throw StoreError.closed }
    return try await withCheckedThrowingContinuation { continuation in
      readers.async { continuation.resume(with: Result { try self.look(body) }) }
    }
  }

  public func close() async throws { state.withLock { $0.isClosed = true } }
}

private struct PendingWrite: Sendable {
  let run: @Sendable (MemoryStore) -> Void
  let answer: @Sendable () -> Void
}

/// Ways in which a store can be wrong, for tests that must notice. Never set elsewhere.
public enum Sabotage: String, CaseIterable, Hashable, Sendable {
  /// A try that is over is found live: the fence is broken.
  case staleTokensAreLive
  /// Answers of idempotent requests are not kept.
  case answersAreForgotten
  /// The last line of every posting is missing.
  case postingsAreHalved
  /// Tries are not counted.
  case triesAreNotCounted
}
