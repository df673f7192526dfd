public import JSON
public import Marketplace

/// Who pays and owns jobs.
public struct Account: Hashable, Sendable {
  public let id: AccountID
  public var name: String
  public var plan: Plan
  public let createdAt: Timestamp
  /// The account's last virtual finish, see `FairQueue`.
  public var virtualFinish: Int64

  public init(id: AccountID, name: String, plan: Plan, createdAt: Timestamp, virtualFinish: Int64 = 0) {
    self.id = id
    self.name = name
    self.plan = plan
    self.createdAt = createdAt
    self.virtualFinish = virtualFinish
  }
}

/// What a key may do.
public enum Role: String, CaseIterable, Hashable, Sendable {
  case client
  case miner
  case admin
}

/// An API key as it is stored: its hash, never itself.
public struct APIKeyRecord: Hashable, Sendable {
  /// Lower-case hex SHA-256 of the key.
  public let hash: String
  public let account: AccountID
  public let role: Role
  public let createdAt: Timestamp
  public var revokedAt: Timestamp?
  /// What it is for, as people say.
  public var name: String?

  public init(
    hash: String, account: AccountID, role: Role, createdAt: Timestamp, revokedAt: Timestamp? = nil,
    name: String? = nil
  ) {
    self.hash = hash
    self.account = account
    self.role = role
    self.createdAt = createdAt
    self.revokedAt = revokedAt
    self.name = name
  }

  /// How the key is named in lists and revoked: `key_` and the first 16 digits of its hash. Tells nothing of the key.
  public var id: String { "key_" + hash.prefix(16) }
}

/// A registered miner.
public struct MinerRecord: Hashable, Sendable {
  public let id: MinerID
  /// Hash of the secret by which it is known again.
  public let instanceHash: String
  public let account: AccountID
  public var name: String
  public var version: String
  public var offer: MinerOffer
  public let registeredAt: Timestamp
  public var lastSeenAt: Timestamp
  /// The administrator lets it drain: it gets nothing new.
  public var isDraining: Bool
  /// It speaks REST: it polls for work.
  public let isPolling: Bool
  /// The Ed25519 public key it signs results with, as Base64URL; nil for one that does not sign.
  public var publicKey: String?

  public init(
    id: MinerID, instanceHash: String, account: AccountID, name: String, version: String, offer: MinerOffer,
    registeredAt: Timestamp, lastSeenAt: Timestamp, isDraining: Bool = false, isPolling: Bool = false,
    publicKey: String? = nil
  ) {
    self.isPolling = isPolling
    self.id = id
    self.instanceHash = instanceHash
    self.account = account
    self.name = name
    self.version = version
    self.offer = offer
    self.registeredAt = registeredAt
    self.lastSeenAt = lastSeenAt
    self.isDraining = isDraining
    self.publicKey = publicKey
  }
}

/// One placement of a job on a miner, with the lease that goes with it.
public struct TryRecord: Hashable, Sendable {
  public enum State: String, Hashable, Sendable {
    /// The lease is live.
    case held
    case completed
    case failed
    case refused
    case lost
    case canceled
  }

  public let job: JobID
  /// From 1; never repeats within a job.
  public let number: Int
  public let miner: MinerID
  /// Lower-case hex SHA-256 of the lease token.
  public let leaseHash: String
  public let claimedAt: Timestamp
  /// What an hour on the miner cost when it was claimed; a price raised later does not count. Nil in rows of the first
  /// version.
  public let price: Money?
  public var state: State
  public var startedAt: Timestamp?
  public var endedAt: Timestamp?
  public var exitCode: Int?
  public var error: JobError?
  /// The miner's usage figures as JSON (`wall_ms`, `user_ms`, …).
  public var usage: JSONValue?
  /// Length and digest of each log, set at the end.
  public var stdout: LogRecord?
  public var stderr: LogRecord?
  /// The miner's signature of what it sent, set at the end when it was valid.
  public var signature: SignatureRecord?

  public init(
    job: JobID, number: Int, miner: MinerID, leaseHash: String, claimedAt: Timestamp, price: Money? = nil
  ) {
    self.price = price
    self.job = job
    self.number = number
    self.miner = miner
    self.leaseHash = leaseHash
    self.claimedAt = claimedAt
    state = .held
  }
}

/// An Ed25519 signature, as manifests hold it.
public struct SignatureRecord: Hashable, Sendable {
  /// The public key as Base64URL.
  public var keyID: String
  /// 64 bytes as Base64URL.
  public var signature: String

  public init(keyID: String, signature: String) {
    self.keyID = keyID
    self.signature = signature
  }
}

/// The whole of one log.
public struct LogRecord: Hashable, Sendable {
  public var length: Int64
  /// Lower-case hex.
  public var sha256: String

  public init(length: Int64, sha256: String) {
    self.length = length
    self.sha256 = sha256
  }
}

/// A file that a try left and that arrived whole.
public struct ArtifactRecord: Hashable, Sendable {
  public let job: JobID
  public let tryNumber: Int
  public let path: String
  public let size: Int64
  /// Lower-case hex.
  public let sha256: String

  public init(job: JobID, tryNumber: Int, path: String, size: Int64, sha256: String) {
    self.job = job
    self.tryNumber = tryNumber
    self.path = path
    self.size = size
    self.sha256 = sha256
  }
}

/// The finished zip of a job.
public struct PackageRecord: Hashable, Sendable {
  public let job: JobID
  public let size: Int64
  /// Lower-case hex, of the whole archive.
  public let sha256: String
  public let createdAt: Timestamp

  public init(job: JobID, size: Int64, sha256: String, createdAt: Timestamp) {
    self.job = job
    self.size = size
    self.sha256 = sha256
    self.createdAt = createdAt
  }
}

/// A durable change of a job's state. The log of these, replayed, gives the table.
public struct JobEvent: Hashable, Sendable {
  /// Rises by at least one with every event of the whole market; set by the store.
  public var sequence: Int64
  public let job: JobID
  public let account: AccountID
  public let at: Timestamp
  public let state: JobState
  public let attempt: Int
  public let tryNumber: Int
  public let miner: MinerID?
  public let progress: Int
  public let error: JobError?
  public let exitCode: Int?
  public let cancelOutcome: CancelRequest.Outcome?

  /// What a job's present state is announced with.
  public init(of job: Job, at: Timestamp, sequence: Int64 = 0) {
    self.init(
      sequence: sequence, job: job.id, account: job.account, at: at, state: job.state, attempt: job.attempt,
      tryNumber: job.lastTry, miner: job.miner, progress: job.progress, error: job.error, exitCode: job.exitCode,
      cancelOutcome: job.cancel?.outcome)
  }

  public init(
    sequence: Int64, job: JobID, account: AccountID, at: Timestamp, state: JobState, attempt: Int, tryNumber: Int,
    miner: MinerID?, progress: Int, error: JobError?, exitCode: Int?, cancelOutcome: CancelRequest.Outcome?
  ) {
    self.sequence = sequence
    self.job = job
    self.account = account
    self.at = at
    self.state = state
    self.attempt = attempt
    self.tryNumber = tryNumber
    self.miner = miner
    self.progress = progress
    self.error = error
    self.exitCode = exitCode
    self.cancelOutcome = cancelOutcome
  }
}

/// The chain of jobs that share a run key. Stays when its jobs are purged.
public struct RunKeyRecord: Hashable, Sendable {
  public let account: AccountID
  public let key: String
  /// Lower-case hex SHA-256 of the specification that the key stands for.
  public let specificationHash: String
  /// Once true it stays true.
  public var isStrict: Bool
  public var latestJob: JobID
  /// The highest attempt number given; never given again.
  public var lastAttempt: Int
  /// Leave for exactly one more run.
  public var unlock: RunKeyUnlock?

  public init(
    account: AccountID, key: String, specificationHash: String, isStrict: Bool, latestJob: JobID, lastAttempt: Int,
    unlock: RunKeyUnlock? = nil
  ) {
    self.account = account
    self.key = key
    self.specificationHash = specificationHash
    self.isStrict = isStrict
    self.latestJob = latestJob
    self.lastAttempt = lastAttempt
    self.unlock = unlock
  }
}

/// The counter of a chain of reruns without a run key. Stays when its jobs are purged.
public struct RerunChainRecord: Hashable, Sendable {
  /// The first attempt.
  public let root: JobID
  public var latestJob: JobID
  /// The highest attempt number given; never given again.
  public var lastAttempt: Int

  public init(root: JobID, latestJob: JobID, lastAttempt: Int) {
    self.root = root
    self.latestJob = latestJob
    self.lastAttempt = lastAttempt
  }
}

/// What ties attempts together.
public enum AttemptChain: Hashable, Sendable {
  case runKey(String, of: AccountID)
  /// Without a run key: the first attempt and all its reruns.
  case reruns(of: JobID)
}

public struct RunKeyUnlock: Hashable, Sendable {
  public var reason: String?
  public var grantedAt: Timestamp
  /// Void at and after this moment. Nil: does not expire.
  public var expiresAt: Timestamp?

  public init(reason: String?, grantedAt: Timestamp, expiresAt: Timestamp?) {
    self.reason = reason
    self.grantedAt = grantedAt
    self.expiresAt = expiresAt
  }
}

/// A request that was answered, so that its repetition gets the same answer.
public struct IdempotencyRecord: Hashable, Sendable {
  public let account: AccountID
  public let key: String
  /// Lower-case hex SHA-256 of the request's method, path and body.
  public let requestHash: String
  public let status: Int
  public let body: String
  public let createdAt: Timestamp

  public init(
    account: AccountID, key: String, requestHash: String, status: Int, body: String, createdAt: Timestamp
  ) {
    self.account = account
    self.key = key
    self.requestHash = requestHash
    self.status = status
    self.body = body
    self.createdAt = createdAt
  }
}

/// One line of the double-entry ledger. The lines of one job and kind sum to zero.
public struct LedgerLine: Hashable, Sendable {
  public enum Kind: String, Hashable, Sendable { case charge }

  public let job: JobID
  public let kind: Kind
  /// An account's id, a miner's id, or ``market``.
  public let party: String
  /// Negative for who pays.
  public let amount: Money
  public let at: Timestamp

  public init(job: JobID, kind: Kind, party: String, amount: Money, at: Timestamp) {
    self.job = job
    self.kind = kind
    self.party = party
    self.amount = amount
    self.at = at
  }

  /// The party that fees go to.
  public static let market = "market"

  /// Throws when the lines of a job and kind do not cancel out: such lines must never be stored.
  public static func checkBalanced(_ lines: [LedgerLine]) throws {
    var sums: [String: Int64] = [:]
    for line in lines { sums[line.job.rawValue + line.kind.rawValue, default: 0] &+= line.amount.micros }
    guard sums.values.allSatisfy({ $0 == 0 }) else { throw StoreError.failed("ledger lines that do not sum to zero") }
  }
}
