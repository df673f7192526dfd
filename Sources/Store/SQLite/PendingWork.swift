/// Something that waits for one of the store's threads.
protocol PendingWork: AnyObject, Sendable {
  /// Runs it and keeps what it gave. Throws what it threw; then nothing is kept.
  func run(_ session: SQLiteSession) throws
  /// Answers who waits: with what ``run(_:)`` kept, or with `failure`. Called exactly once.
  func answer(_ failure: (any Error)?)
}

/// A closure, its result and the task that waits for it.
///
/// `@unchecked Sendable`: it is handed from the asking task to one thread through a locked queue, and only that thread
/// touches `value` from then on.
final class PendingCall<Value: Sendable>: PendingWork, @unchecked Sendable {
  private let body: (SQLiteSession) throws -> Value
  private let continuation: CheckedContinuation<Value, any Error>
  private var value: Value?

  init(
    _ body: @escaping @Sendable (SQLiteSession) throws -> Value, _ continuation: CheckedContinuation<Value, any Error>
  ) {
    self.body = body
    self.continuation = continuation
  }

  func run(_ session: SQLiteSession) throws { value = try body(session) }

  func answer(_ failure: (any Error)?) {
    if let failure { return continuation.resume(throwing: failure) }
    guard let value else { return continuation.resume(throwing: StoreError.failed("answered before it ran")) }
    continuation.resume(returning: value)
  }
}
