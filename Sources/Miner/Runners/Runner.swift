public import Clocks
public import Marketplace
import Synchronization
public import Wire

/// Executes jobs of one kind.
public protocol Runner: Sendable {
  /// Runs one try; returns when nothing of it is left. Told to stop through ``RunContext/control``.
  func run(_ context: RunContext) async -> RunResult
}

/// What a runner gets.
public struct RunContext: Sendable {
  public let assignment: Assignment
  public let directory: JobDirectory
  public let stdout: OutputSink
  public let stderr: OutputSink
  public let control: RunControl
  /// Device numbers it may use.
  public let gpus: [Int]
  /// To be called once, when the program runs.
  public let started: @Sendable () -> Void
  public let progress: @Sendable (ProgressUpdate) -> Void

  public var specification: JobSpecification { assignment.specification }
}

/// Brings the wish to end a run to whoever can fulfil it, whichever of the two is there first.
public final class RunControl: Sendable {
  public enum Request: Hashable, Sendable {
    case terminate(grace: Seconds)
    case kill
    /// What runs must be gone at this moment unless a later one was named by then, even if the miner stands still.
    case fence(at: MonotonicTime)

    /// It asks for the end now.
    var isEnd: Bool { if case .fence = self { false } else { true } }
  }

  private struct State {
    var fence: MonotonicTime?
    var requests: [Request] = []
    var handler: (@Sendable (Request) -> Void)?
  }

  private let state = Mutex(State())

  public init() {}

  /// Asks for the end. May be repeated.
  public func request(_ request: Request) {
    let handler = state.withLock { state in
      if case .fence(let moment) = request { state.fence = moment }
      if state.handler == nil {
        // Of moments only the latest counts.
        if !request.isEnd { state.requests.removeAll { !$0.isEnd } }
        state.requests.append(request)
      }
      return state.handler
    }
    handler?(request)
  }

  /// The latest moment that was named; nothing may be started at or after it.
  public var fence: MonotonicTime? { state.withLock { $0.fence } }

  /// Takes requests from now on, and those that came before.
  public func handle(_ handler: @escaping @Sendable (Request) -> Void) {
    let earlier = state.withLock { state in
      state.handler = handler
      defer { state.requests = [] }
      return state.requests
    }
    for request in earlier { handler(request) }
  }
}
