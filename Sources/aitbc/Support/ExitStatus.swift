import MarketplaceClient
import Wire

/// The exit codes, one table for all verbs.
enum ExitStatus: Int32, CaseIterable {
  case success = 0
  /// An error, or the job did not succeed.
  case failure = 1
  case usage = 2
  case notFound = 3
  /// The job's state forbids it.
  case state = 4
  /// Busy, or in conflict with something else.
  case busy = 5
  /// Unauthenticated or forbidden.
  case denied = 6
  case unreachable = 7
  /// `--timeout` has passed; the job is still active.
  case timeout = 8
  case integrity = 9
  case interrupted = 130

  /// For `--help`.
  static let help = """
    exit codes: 0 ok, 1 error or the job did not succeed, 2 usage, 3 not found, 4 the job's state forbids it, \
    5 busy or conflict, 6 unauthenticated or forbidden, 7 coordinator unreachable, 8 time-out passed and the job \
    still active (submit: --wait-timeout), \
    9 integrity mismatch, 130 interrupted
    """

  init(_ error: ClientError) {
    switch error {
    case .problem(let problem): self.init(problem)
    case .unreachable: self = .unreachable
    case .timedOut(_, let last): self = if case .unreachable = last { .unreachable } else { .timeout }
    case .integrity: self = .integrity
    case .invalid: self = .usage
    case .unexpected, .file: self = .failure
    }
  }

  init(_ problem: Problem) {
    switch problem.status {
    case 400, 413, 415, 422: self = .usage
    case 401, 403: self = .denied
    case 404, 410: self = .notFound
    case 409: self = problem.code == "state_forbids" ? .state : .busy
    case 425: self = .state
    case 429, 503, 507: self = .busy
    case 502, 504: self = .unreachable
    default: self = .failure
    }
  }
}

/// An end that a verb has already told of, or that needs no words.
struct CommandExit: Error {
  let code: Int32

  init(_ status: ExitStatus) { code = status.rawValue }
  /// The job's own exit code, for `--passthrough`.
  init(code: Int32) { self.code = code }
}

/// An end with one line of reason, and perhaps one of advice.
struct CommandFailure: Error {
  let status: ExitStatus
  let message: String
  var hint: String?

  init(_ status: ExitStatus, _ message: String, hint: String? = nil) {
    self.status = status
    self.message = message
    self.hint = hint
  }
}

extension CommandFailure {
  init(_ error: ClientError) {
    self.init(ExitStatus(error), error.description, hint: Self.hint(for: error))
  }

  private static func hint(for error: ClientError) -> String? {
    switch error {
    case .timedOut(_, let last?): hint(for: last)
    case .unreachable(_, let reason) where reason.contains("certificate"):
      "SSL_CERT_FILE=authority.pem trusts another authority than the system's"
    case .unreachable(_, let reason) where reason.hasPrefix("TLS failed"):
      "does it speak TLS? without a proxy in front the address begins with http://"
    case .unreachable, .timedOut:
      "is it running? start one with: aitbc coordinator; another address with --url or AITBC_URL"
    case .problem(let problem) where problem.status == 401:
      "give a key with --api-key-file, AITBC_API_KEY or: aitbc client config set api_key_file PATH"
    case .problem(let problem) where problem.status == 403: "name another key with --api-key-file"
    case .problem(let problem) where problem.status == 425: "wait for it with: aitbc client watch JOB"
    default: nil
    }
  }
}
