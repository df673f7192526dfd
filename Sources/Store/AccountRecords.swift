public import Marketplace

/// What a party of the ledger has: the sum of its lines. Negative for who pays.
public struct Balance: Hashable, Sendable {
  /// An account's id, a miner's id, or ``LedgerLine/market``.
  public let party: String
  public var amount: Money
  /// How many lines make it.
  public var lines: Int

  public init(party: String, amount: Money, lines: Int) {
    self.party = party
    self.amount = amount
    self.lines = lines
  }
}

/// What a check of the whole ledger found. See ``isBalanced``.
public struct LedgerReport: Hashable, Sendable {
  /// A job whose lines of one kind do not cancel out.
  public struct Fault: Hashable, Sendable {
    public let job: String
    public let kind: String
    public let sum: Money

    public init(job: String, kind: String, sum: Money) {
      self.job = job
      self.kind = kind
      self.sum = sum
    }
  }

  public var lines: Int
  /// Of all lines; must be zero.
  public var sum: Money
  /// All that was paid.
  public var charged: Money
  /// Jobs that do not sum to zero, at most ``faultLimit``.
  public var faults: [Fault]
  /// Parties whose kept balance is not the sum of their lines, at most ``faultLimit``.
  public var wrongBalances: [String]

  public static let faultLimit = 100

  public init(lines: Int, sum: Money, charged: Money, faults: [Fault], wrongBalances: [String]) {
    self.lines = lines
    self.sum = sum
    self.charged = charged
    self.faults = faults
    self.wrongBalances = wrongBalances
  }

  /// Double entry holds: everything sums to zero, job by job and in all.
  public var isBalanced: Bool { sum == .zero && faults.isEmpty && wrongBalances.isEmpty }
}

/// A miner's word that was refused because its lease was over or another's. Kept as evidence, never applied.
public struct RefusedReport: Hashable, Sendable {
  /// What was said.
  public enum Kind: String, CaseIterable, Hashable, Sendable {
    case started
    case result
    case failure
    case refusal
    case artifact
  }

  public let job: JobID
  /// The try that the token was given for; 0 when it is none of this job's.
  public let tryNumber: Int
  /// Who said it.
  public let miner: MinerID
  public let kind: Kind
  /// Lower-case hex SHA-256 of what was said.
  public let sha256: String
  public let reason: String
  public var firstAt: Timestamp
  public var lastAt: Timestamp
  /// How often the same was said.
  public var count: Int

  /// Different reports kept of one job; later ones are refused without a record.
  public static let limit = 32

  public init(
    job: JobID, tryNumber: Int, miner: MinerID, kind: Kind, sha256: String, reason: String, at: Timestamp,
    lastAt: Timestamp? = nil, count: Int = 1
  ) {
    self.job = job
    self.tryNumber = tryNumber
    self.miner = miner
    self.kind = kind
    self.sha256 = sha256
    self.reason = reason
    firstAt = at
    self.lastAt = lastAt ?? at
    self.count = count
  }
}
