public import Marketplace
public import Wire

/// Why a call did not succeed. No case ever holds a key or a token.
public indirect enum ClientError: Error, Hashable, Sendable {
  /// The coordinator answered with an error.
  case problem(Problem)
  /// No answer: the name, connection or TLS failed, or the connection broke, also after all retries.
  case unreachable(url: String, reason: String)
  /// The time given for the whole call has passed; `last` is the last failure before that, if any.
  case timedOut(after: Seconds, last: ClientError?)
  /// An answer that this client cannot make sense of.
  case unexpected(String)
  /// Bytes are not what their digest says.
  case integrity(String)
  /// A local file could not be read or written; `code` is the `errno` of `operation`.
  case file(path: String, operation: String, code: Int32)
  /// An argument that cannot be right; nothing was sent.
  case invalid(_ field: String, _ message: String)

  /// The HTTP status of an answer.
  public var status: Int? { if case .problem(let problem) = self { problem.status } else { nil } }
}

extension ClientError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .problem(let problem): problem.detail
    case .unreachable(let url, let reason): "cannot reach the coordinator at \(url): \(reason)"
    case .timedOut(let limit, let last):
      "no success within \(limit.whole) s" + (last.map { ": \($0)" } ?? "")
    case .unexpected(let text): text
    case .integrity(let text): text
    case .file(let path, let operation, let code): "\(path): \(operation): \(errorText(code))"
    case .invalid(let field, let message): "\(field) \(message)"
    }
  }
}
