public import Wire

/// An open miner channel. Messages keep their order; one task reads.
public protocol MinerConnection: Sendable {
  /// Sends without waiting; what goes to a connection that has ended is dropped.
  func send(_ message: MinerMessage)
  /// Sends log bytes and waits while much is buffered. Throws when the connection has ended.
  func send(_ chunk: LogChunk) async throws
  /// The next command; nil when the connection has ended or the task is canceled.
  func next() async -> MinerCommand?
  /// How it ended; nil while it is open.
  var end: ChannelEnd? { get }
  func close()
}

/// How a miner channel ended, and what that asks of the miner (the table in docs/protocol.md).
public struct ChannelEnd: Hashable, Sendable, CustomStringConvertible {
  public var code: Int
  public var reason: String

  public init(code: Int, reason: String = "") {
    self.code = code
    self.reason = reason
  }

  /// 3000-3499 and 4000-4499, and those that say that the server or the network went away: come back. Others: do not.
  public var mayReconnect: Bool {
    switch code {
    case 1000, 1001, 1005, 1006, 1011...1014, 3000...3499, 4000...4499: true
    default: false
    }
  }

  public var description: String { reason.isEmpty ? "\(code)" : "\(code) \(reason)" }
}

/// Why no channel came about.
public enum ChannelOpenError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The coordinator answered with an error.
  case refused(status: Int, detail: String)
  /// No answer.
  case unreachable(String)

  /// The same attempt may succeed later.
  var isTransient: Bool {
    switch self {
    case .refused(let status, _): status == 408 || status == 429 || status >= 500
    case .unreachable: true
    }
  }

  public var description: String {
    switch self {
    case .refused(let status, let detail): "the coordinator refuses (\(status)): \(detail)"
    case .unreachable(let reason): reason
    }
  }
}

/// Opens a channel. Throws ``ChannelOpenError`` or `CancellationError`.
public typealias MinerConnector = @Sendable () async throws -> any MinerConnection
