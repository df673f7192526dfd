import Synchronization

/// A change of names or bytes in the data directory.
enum FileOperation: Hashable, Sendable {
  case create(String)
  case write(String)
  case truncate(String)
  /// A file's bytes, or a folder's names, are durable.
  case sync(String)
  case rename(from: String, to: String)
  case remove(String)
  case makeFolder(String)
}

/// Tells a test what is done to files, in order, so that it can work out what a power cut would leave. Nobody listens
/// in a coordinator: then it costs one look at a number.
enum FileTrace {
  typealias Observer = @Sendable (FileOperation) -> Void

  private static let count = Atomic<Int>(0)
  private static let observers = Mutex<[Int: Observer]>([:])

  @inline(__always)
  static func note(_ operation: @autoclosure () -> FileOperation) {
    if count.load(ordering: .relaxed) > 0 { tell(operation()) }
  }

  private static func tell(_ operation: FileOperation) {
    for observer in observers.withLock({ Array($0.values) }) { observer(operation) }
  }

  /// Calls the observer for every operation of the process until `body` returns.
  static func observing<Result>(
    _ observer: @escaping Observer, _ body: () async throws -> Result
  ) async rethrows -> Result {
    let number = observers.withLock { observers in
      let number = (observers.keys.max() ?? 0) + 1
      observers[number] = observer
      return number
    }
    count.add(1, ordering: .relaxed)
    defer {
      count.subtract(1, ordering: .relaxed)
      _ = observers.withLock { $0.removeValue(forKey: number) }
    }
    return try await body()
  }
}
