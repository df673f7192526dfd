/// Why a job or a try did not succeed: a code for programs, a message for people.
public struct JobError: Hashable, Sendable {
  public let code: JobErrorCode
  /// One sentence. At most 4 KiB; longer ones are cut by the initialiser.
  public let message: String

  public init(_ code: JobErrorCode, _ message: String) {
    self.code = code
    self.message = message.utf8.count <= Self.longestMessage ? message : Self.cut(message)
  }

  /// Bytes.
  static let longestMessage = 4096

  /// By scalars: one character may be any number of bytes.
  private static func cut(_ message: String) -> String {
    var scalars = String.UnicodeScalarView()
    var left = longestMessage - "…".utf8.count
    for scalar in message.unicodeScalars {
      left -= UTF8.width(scalar)
      guard left >= 0 else { break }
      scalars.append(scalar)
    }
    return String(scalars) + "…"
  }

  /// AITBC's one-string form.
  public var text: String { code.rawValue + ": " + message }
}

/// The contract's error codes.
public enum JobErrorCode: String, CaseIterable, Hashable, Sendable {
  /// The program ended with a status other than 0.
  case exitNonzero = "EXIT_NONZERO"
  /// The program was ended by a signal that we did not send.
  case signaled = "SIGNALED"
  /// The program could not be started.
  case launchFailed = "LAUNCH_FAILED"
  /// The run took longer than `timeout_seconds`.
  case timeout = "TIMEOUT"
  /// The miner disappeared.
  case lost = "LOST"
  case outOfMemory = "OUT_OF_MEMORY"
  case diskFull = "DISK_FULL"
  case outputTooLarge = "OUTPUT_TOO_LARGE"
  /// The miner would not take it.
  case refused = "REFUSED"
  case expired = "EXPIRED"
  case canceled = "CANCELED"
  case unschedulable = "UNSCHEDULABLE"
  /// An input could not be had or did not match its digest.
  case inputUnavailable = "INPUT_UNAVAILABLE"
  /// The runner reported a failure of its own (an inference endpoint's error, an AITBC miner's code).
  case runnerFailed = "RUNNER_FAILED"
  /// The miner could not keep its word for reasons of its own.
  case minerError = "MINER_ERROR"
  /// Too many miners were lost with it, one after the other.
  case quarantined = "QUARANTINED"

  /// What a job may name in `retry_on`: the ways a try can end that are not the coordinator's own word.
  public static let retriable: [JobErrorCode] = [
    .exitNonzero, .signaled, .launchFailed, .timeout, .lost, .outOfMemory, .diskFull, .outputTooLarge, .refused,
    .inputUnavailable, .runnerFailed, .minerError,
  ]

  /// What is tried again when a job names nothing: the miner's faults. A program's own failures are its own.
  public static let retriedByDefault: Set<JobErrorCode> = [.minerError, .diskFull]

  /// Nobody's fault that another miner could not mend: tried again whatever a job names.
  var isAlwaysRetried: Bool { self == .lost || self == .refused }
}

extension JobSpecification {
  /// Whether another try follows a failure of this kind, while tries are left.
  public func triesAgain(after code: JobErrorCode) -> Bool {
    code.isAlwaysRetried || (retryOn.map(Set.init) ?? JobErrorCode.retriedByDefault).contains(code)
  }
}
