public import JSON

/// What a client asked for. Never changes after submission; equal specifications have equal ``canonical`` bytes.
public struct JobSpecification: Hashable, Sendable {
  /// A name for people. Nil: none.
  public var name: String?
  /// Which runner executes it: `process`, `noop`, `inference` or one an operator added.
  public var runner: String
  /// Program and arguments for `process`. Empty for other runners.
  public var command: [String]
  /// Environment variables added to the runner's own.
  public var environment: [EnvironmentVariable]
  /// Files put into the working directory before the start.
  public var inputs: [JobInputFile]
  /// Glob-free paths (files or folders, relative to the working directory) kept as artifacts besides what stands in
  /// `AITBC_OUTPUT_DIR`.
  public var artifacts: [String]
  /// What the runner gets. An object; empty for plain commands.
  public var payload: JSONObject
  public var constraints: Constraints
  public var priority: Priority
  /// How long it may wait in the queue before it expires. Default 900 s.
  public var timeToLive: Seconds
  /// How long one try may run. Default 3600 s.
  public var timeout: Seconds
  /// How many tries at most. Default 3.
  public var maxTries: Int
  /// Failures after which another try follows, in alphabetical order; `LOST` and `REFUSED` need not be named. Nil:
  /// ``JobErrorCode/retriedByDefault``.
  public var retryOn: [JobErrorCode]?
  public var runKey: String?
  /// At most one execution per run key, ever.
  public var isStrict: Bool
  /// It stays in the queue until then.
  public var notBefore: Timestamp?
  public var labels: [String: String]
  /// End as `failed` with `UNSCHEDULABLE` at once when no registered miner could ever run it.
  public var failsFast: Bool
  /// AITBC's `payment_amount` and `payment_currency`: echoed, nothing is escrowed.
  public var payment: PaymentNote?

  public static let defaultTimeToLive = Seconds(900)
  public static let defaultTimeout = Seconds(3600)
  public static let defaultMaxTries = 3

  public init(runner: String, command: [String] = [], payload: JSONObject = JSONObject()) {
    self.runner = runner
    self.command = command
    self.payload = payload
    environment = []
    inputs = []
    artifacts = []
    constraints = Constraints()
    priority = .normal
    timeToLive = Self.defaultTimeToLive
    timeout = Self.defaultTimeout
    maxTries = Self.defaultMaxTries
    isStrict = false
    labels = [:]
    failsFast = false
  }
}

public struct EnvironmentVariable: Hashable, Sendable {
  public var name: String
  public var value: String

  public init(name: String, value: String) {
    self.name = name
    self.value = value
  }
}

/// One input file: where it goes and which blob it is.
public struct JobInputFile: Hashable, Sendable {
  /// Path relative to the job's working directory.
  public var path: String
  /// Lower-case hex SHA-256 of the content; the blob's name.
  public var sha256: String
  public var isExecutable: Bool

  public init(path: String, sha256: String, isExecutable: Bool = false) {
    self.path = path
    self.sha256 = sha256
    self.isExecutable = isExecutable
  }
}

public struct PaymentNote: Hashable, Sendable {
  /// The amount as it was written.
  public var amount: String
  public var currency: String

  public init(amount: String, currency: String) {
    self.amount = amount
    self.currency = currency
  }
}
