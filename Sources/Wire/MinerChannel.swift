public import JSON
public import Marketplace

/// What a miner says on its channel (`/v1/miners/ws`). Text messages; log bytes travel as ``LogChunk``.
public enum MinerMessage: Hashable, Sendable {
  /// First message, and only then.
  case hello(MinerHello)
  case accept(lease: String)
  /// Will not run it. Burns no try.
  case refuse(lease: String, reason: String)
  case started(lease: String)
  case progress(lease: String, percent: Int, message: String?)
  /// Heartbeat: renews every lease it names. Empty keeps the miner online.
  case renew(leases: [String])
  /// The try ended well.
  case done(TryReport)
  /// The try ended badly, or was canceled (code `CANCELED`).
  case failed(TryReport)
  /// Takes no new work from now on.
  case drain
}

/// What the coordinator says on a miner's channel.
public enum MinerCommand: Hashable, Sendable {
  /// Answer to `hello`.
  case welcome(MinerWelcome)
  case assign(Assignment)
  case cancel(lease: String, grace: Seconds)
  /// Log bytes up to `offset` are safe; the miner may forget them. Sent again after a gap: go on from there.
  case logAck(lease: String, stream: LogStream, offset: Int64)
  /// Answer to `renew`: how long each lease lives from now, and which are no longer the miner's: stop those at once.
  case leases(renewed: [String: Int64], lost: [String])
  /// Answer to `done`, `failed` and `refuse`: the miner may forget the try. Not accepted: it was no longer its own.
  case settled(lease: String, accepted: Bool)
  /// Finish what runs, take nothing new.
  case drain
  /// The miner said something that is not legal now. Nothing was changed.
  case error(code: String, message: String, lease: String?)
}

/// A miner introduces itself.
public struct MinerHello: Hashable, Sendable {
  /// Secret that the miner made at its first start and keeps in its work directory; the coordinator knows the miner
  /// by its hash. Never logged.
  public var instance: String
  public var name: String
  public var version: String
  public var offer: MinerOffer
  /// It runs nothing and remembers nothing: whatever it held is lost.
  public var isFresh: Bool
  /// The tries it still works on.
  public var held: [HeldLease]
  /// The Ed25519 public key it signs results with, as Base64URL (43 characters).
  public var publicKey: String?

  public init(
    instance: String, name: String, version: String, offer: MinerOffer, isFresh: Bool, held: [HeldLease] = [],
    publicKey: String? = nil
  ) {
    self.instance = instance
    self.name = name
    self.version = version
    self.offer = offer
    self.isFresh = isFresh
    self.held = held
    self.publicKey = publicKey
  }
}

/// A lease that a reconnecting miner still works on.
public struct HeldLease: Hashable, Sendable {
  public var lease: String
  /// Its program was started.
  public var isStarted: Bool

  public init(lease: String, isStarted: Bool) {
    self.lease = lease
    self.isStarted = isStarted
  }
}

public struct MinerWelcome: Hashable, Sendable {
  public var miner: MinerID
  /// How often to renew.
  public var heartbeat: Seconds
  /// Which held leases go on, with how many log bytes are safe.
  public var resumed: [ResumedLease]
  /// Which are no longer its own: stop them at once.
  public var lost: [String]

  public init(miner: MinerID, heartbeat: Seconds, resumed: [ResumedLease] = [], lost: [String] = []) {
    self.miner = miner
    self.heartbeat = heartbeat
    self.resumed = resumed
    self.lost = lost
  }
}

public struct ResumedLease: Hashable, Sendable {
  public var lease: String
  public var leaseMilliseconds: Int64
  public var stdoutOffset: Int64
  public var stderrOffset: Int64

  public init(lease: String, leaseMilliseconds: Int64, stdoutOffset: Int64, stderrOffset: Int64) {
    self.lease = lease
    self.leaseMilliseconds = leaseMilliseconds
    self.stdoutOffset = stdoutOffset
    self.stderrOffset = stderrOffset
  }
}

/// One try, handed to a miner.
public struct Assignment: Hashable, Sendable {
  public var job: JobID
  public var tryNumber: Int
  public var attempt: Int
  /// The right to work on it; named in every write. Never logged.
  public var lease: String
  /// How long the lease lives from now unless renewed.
  public var leaseMilliseconds: Int64
  public var specification: JobSpecification

  public init(
    job: JobID, tryNumber: Int, attempt: Int, lease: String, leaseMilliseconds: Int64, specification: JobSpecification
  ) {
    self.job = job
    self.tryNumber = tryNumber
    self.attempt = attempt
    self.lease = lease
    self.leaseMilliseconds = leaseMilliseconds
    self.specification = specification
  }
}

/// How a try ended and what it left. Sent again after a reconnect until it is settled.
public struct TryReport: Hashable, Sendable {
  public var lease: String
  public var exitCode: Int?
  /// Nil for `done`.
  public var error: JobError?
  /// A small result as JSON, at most 1 MiB encoded; larger ones are artifacts.
  public var result: JSONValue?
  public var usage: Usage
  /// Files that were uploaded before.
  public var artifacts: [ArtifactFact]
  public var stdout: LogFact
  public var stderr: LogFact
  /// The miner's signature of its part of the result's manifest.
  public var signature: SignatureFact?
  /// How long ago its program ended, by the miner's monotonic clock, when this was sent. Nil: just now.
  public var endedAgo: Seconds?

  public init(
    lease: String, exitCode: Int? = nil, error: JobError? = nil, result: JSONValue? = nil, usage: Usage = Usage(),
    artifacts: [ArtifactFact] = [], stdout: LogFact = .empty, stderr: LogFact = .empty,
    signature: SignatureFact? = nil
  ) {
    self.lease = lease
    self.exitCode = exitCode
    self.error = error
    self.result = result
    self.usage = usage
    self.artifacts = artifacts
    self.stdout = stdout
    self.stderr = stderr
    self.signature = signature
  }
}

/// What a try used, measured by the miner.
public struct Usage: Hashable, Sendable {
  public var wallMilliseconds: Int64
  public var userMilliseconds: Int64
  public var systemMilliseconds: Int64
  public var maximumResidentKiB: Int64

  public init(
    wallMilliseconds: Int64 = 0, userMilliseconds: Int64 = 0, systemMilliseconds: Int64 = 0,
    maximumResidentKiB: Int64 = 0
  ) {
    self.wallMilliseconds = wallMilliseconds
    self.userMilliseconds = userMilliseconds
    self.systemMilliseconds = systemMilliseconds
    self.maximumResidentKiB = maximumResidentKiB
  }

  public var json: JSONValue {
    [
      "wall_ms": .integer(wallMilliseconds), "user_ms": .integer(userMilliseconds),
      "system_ms": .integer(systemMilliseconds), "max_rss_kib": .integer(maximumResidentKiB),
    ]
  }

  /// Missing and wrong members count as 0.
  public init(json: JSONValue) {
    func number(_ name: String) -> Int64 { max(0, json[name]?.integer ?? 0) }
    self.init(
      wallMilliseconds: number("wall_ms"), userMilliseconds: number("user_ms"),
      systemMilliseconds: number("system_ms"), maximumResidentKiB: number("max_rss_kib"))
  }
}

/// A file among the results.
public struct ArtifactFact: Hashable, Sendable {
  public var path: String
  public var size: Int64
  /// Lower-case hex.
  public var sha256: String

  public init(path: String, size: Int64, sha256: String) {
    self.path = path
    self.size = size
    self.sha256 = sha256
  }

  public var json: JSONValue { ["path": .string(path), "size": .integer(size), "sha256": .string(sha256)] }

  public init?(json: JSONValue) {
    guard let path = json["path"]?.string, let size = json["size"]?.integer, size >= 0,
      let sha256 = json["sha256"]?.string, sha256.utf8.count == 64
    else { return nil }
    self.init(path: path, size: size, sha256: sha256)
  }
}

/// An Ed25519 signature and the key it was made with.
public struct SignatureFact: Hashable, Sendable {
  /// The public key as Base64URL.
  public var keyID: String
  /// 64 bytes as Base64URL.
  public var signature: String

  public init(keyID: String, signature: String) {
    self.keyID = keyID
    self.signature = signature
  }

  public var json: JSONValue { ["key_id": .string(keyID), "signature": .string(signature)] }

  public init?(json: JSONValue?) {
    guard let keyID = json?["key_id"]?.string, keyID.utf8.count == 43, let signature = json?["signature"]?.string,
      signature.utf8.count == 86
    else { return nil }
    self.init(keyID: keyID, signature: signature)
  }
}

/// The whole of one log: how many bytes were written, and their digest.
public struct LogFact: Hashable, Sendable {
  public var length: Int64
  /// Lower-case hex.
  public var sha256: String

  public init(length: Int64, sha256: String) {
    self.length = length
    self.sha256 = sha256
  }

  /// A log that holds nothing.
  public static let empty = LogFact(
    length: 0, sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")

  public var json: JSONValue { ["length": .integer(length), "sha256": .string(sha256)] }

  public init?(json: JSONValue?) {
    guard let length = json?["length"]?.integer, length >= 0, let sha256 = json?["sha256"]?.string,
      sha256.utf8.count == 64
    else { return nil }
    self.init(length: length, sha256: sha256)
  }
}
