import Marketplace
import NIOPosix
import Synchronization
import Wire

/// Sends one try's logs over whatever connection stands, from where the coordinator has them, until all is there.
///
/// Its one task (``run()``) lives as long as the try; everybody else only changes the cursors and wakes it. Renewals
/// never wait behind it: at most ``LogCursor/window`` chunks of each log are under way.
final class LogShipper: Sendable {
  private struct State {
    var cursors: [LogStream: LogCursor] = [.stdout: LogCursor(), .stderr: LogCursor()]
    var connection: (any MinerConnection)?
    var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    var lastWaiter: UInt64 = 0

    var isDrained: Bool { connection != nil && cursors.values.allSatisfy(\.isDrained) }
  }

  private let lease: String
  private let spools: [LogStream: LogSpool]
  private let state = Mutex(State())
  private let wakeups: AsyncStream<Void>
  private let wakeup: AsyncStream<Void>.Continuation

  init(lease: String, stdout: LogSpool, stderr: LogSpool) {
    self.lease = lease
    spools = [.stdout: stdout, .stderr: stderr]
    (wakeups, wakeup) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  // MARK: What happens elsewhere

  func grew(_ stream: LogStream, to length: Int64) {
    state.withLock { $0.cursors[stream]?.grew(to: length) }
    wakeup.yield()
  }

  /// The coordinator has everything before `offset`.
  func acknowledged(_ stream: LogStream, _ offset: Int64) {
    state.withLock { $0.cursors[stream]?.acknowledged(offset) }
    wakeup.yield()
  }

  /// A chunk of one of the logs was not kept.
  func rejected() {
    state.withLock { state in
      for stream in LogStream.allCases { state.cursors[stream]?.rejected() }
    }
    wakeup.yield()
  }

  /// A connection stands, and the coordinator has the logs up to here.
  func connected(_ connection: any MinerConnection, stdout: Int64, stderr: Int64) {
    state.withLock { state in
      state.connection = connection
      state.cursors[.stdout]?.resume(from: stdout)
      state.cursors[.stderr]?.resume(from: stderr)
    }
    wakeup.yield()
  }

  func disconnected() { state.withLock { $0.connection = nil } }

  // MARK: Sending

  /// Sends until the task is canceled.
  func run() async {
    for await _ in wakeups {
      while let (connection, stream, range) = next() {
        guard let bytes = await read(stream, range), !bytes.isEmpty else { break }
        let chunk = LogChunk(lease: lease, stream: stream, offset: range.lowerBound, data: bytes)
        // A connection that has ended is replaced, and `connected` sets the cursors anew.
        guard (try? await connection.send(chunk)) != nil else { break }
      }
      wakeDrained()
    }
  }

  private func next() -> (any MinerConnection, LogStream, Range<Int64>)? {
    state.withLock { state in
      guard let connection = state.connection else { return nil }
      // Errors are what people wait for: they go first.
      for stream in [LogStream.stderr, .stdout] {
        if let range = state.cursors[stream]?.next() { return (connection, stream, range) }
      }
      return nil
    }
  }

  private func read(_ stream: LogStream, _ range: Range<Int64>) async -> [UInt8]? {
    guard let spool = spools[stream] else { return nil }
    return try? await NIOThreadPool.singleton.runIfActive {
      try spool.read(from: range.lowerBound, count: Int(range.upperBound - range.lowerBound))
    }
  }

  // MARK: Waiting

  /// Returns when the coordinator has everything written so far, and a connection stands over which that can be
  /// reported; false when the task was canceled. What it could not keep goes out again at heartbeats, so this may take as
  /// long as its disk is full.
  func drained() async -> Bool {
    let id = state.withLock { state in
      state.lastWaiter += 1
      return state.lastWaiter
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isDone = state.withLock { state in
          if state.isDrained || Task.isCancelled { return true }
          state.waiters[id] = continuation
          return false
        }
        if isDone { continuation.resume() }
      }
    } onCancel: {
      state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
    }
    return !Task.isCancelled
  }

  private func wakeDrained() {
    let waiters = state.withLock { state in
      guard state.isDrained else { return [CheckedContinuation<Void, Never>]() }
      defer { state.waiters = [:] }
      return Array(state.waiters.values)
    }
    for waiter in waiters { waiter.resume() }
  }
}
