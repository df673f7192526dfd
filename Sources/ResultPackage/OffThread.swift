import Dispatch

/// A value that works through pieces of bytes in their order on a thread of its own, or, without one, at once.
///
/// At most two pieces wait; then the caller does. `@unchecked Sendable`: the value is touched on its serial queue
/// only, or, without a queue, by its one owner only.
final class OffThread<Value>: @unchecked Sendable {
  private var value: Value
  private let queue: DispatchQueue?
  private let slots = DispatchSemaphore(value: 2)

  init(_ value: Value, threaded: Bool) {
    self.value = value
    queue = threaded ? DispatchQueue(label: "hash") : nil
  }

  /// Does `body` with the value and the piece, now or soon.
  func perform(
    _ bytes: some ByteRun, _ body: @escaping @Sendable (inout Value, UnsafeRawBufferPointer) -> Void
  ) {
    guard let queue else { return bytes.withBytes { body(&value, $0) } }
    slots.wait()
    queue.async {
      bytes.withBytes { body(&self.value, $0) }
      self.slots.signal()
    }
  }

  /// Asks the value once all pieces are done.
  func result<Result>(_ body: (Value) -> Result) -> Result {
    guard let queue else { return body(value) }
    return queue.sync { body(value) }
  }
}
