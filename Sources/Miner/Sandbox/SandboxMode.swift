/// The operator's choice of `--sandbox`.
public enum SandboxMode: String, CaseIterable, Hashable, Sendable {
  /// bubblewrap when it works here, else none, told loudly.
  case auto
  /// bubblewrap; the miner does not start without.
  case bubblewrap
  /// Payloads run as the miner's user with all it may see and do. Only for jobs that are trusted.
  case none
}

/// What payloads run in, found out once at start.
public enum Sandbox: Sendable {
  case none
  case bubblewrap(Bubblewrap)

  /// What payloads can do without a sandbox; for the log.
  static let missingProtection =
    "jobs can read every file that the miner's user can, use the network, see and signal other processes of "
    + "that user; only process control (everything a job starts is ended with it) still holds"
}

/// bubblewrap was demanded and does not work here.
public struct SandboxUnavailable: Error, Hashable, Sendable, CustomStringConvertible {
  public let reason: String

  public var description: String { "the sandbox can't be used: \(reason)" }
}
