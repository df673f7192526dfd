import Cryptography
public import Marketplace

/// Share tokens: 256 bits that nobody can guess; the store knows their hashes. Looking one up compares hashes, whose order tells
/// nothing about tokens, so its time does not either.
public enum ShareToken {
  public static let prefix = "sh_"
  public static func make() -> String { secureToken(prefix: prefix) }
  /// The token of a request that may be repeated: the same request gives the same token, and nobody without the secret
  /// can make it.
  /// - secret: 32 bytes.
  public static func make(secret: [UInt8], request: String) -> String {
    // Of one length each, so that none can pass for a part of another.
    let parts = [SHA256.hash("aitbc-share-token".utf8), SHA256.hash(secret), SHA256.hash(request.utf8)]
    return prefix + Base64URL.encode(SHA256.hash(parts.flatMap(\.bytes)).bytes)
  }
  public static func hash(_ token: String) -> String { SHA256.hash(token.utf8).hex }
}

/// The mark of one counted download of one file, which its entity tag carries: whoever shows it again (`If-Range`, as
/// browsers and our client do when they go on with a download) is going on with what was counted.
public struct ShareGrant: Hashable, Sendable {
  /// Which download of the share it was, from 1.
  public let number: Int64
  public let tag: String

  /// `sha256`: of the whole file, lower-case hex.
  public init(_ share: ShareRecord, number: Int64, sha256: String) {
    self.number = number
    // 128 bits of a digest over 32 secret bytes: nobody else can make one, and what is shown can't be extended.
    let proof = SHA256.hash(share.grantSecret + Array("\(number).\(sha256)".utf8)).hex.prefix(32)
    tag = "\"\(sha256).\(number).\(proof)\""
  }

  /// Whether `tag` is of a download of this file that the share has counted.
  public static func isValid(_ tag: String, share: ShareRecord, sha256: String) -> Bool {
    let parts = tag.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 3, let number = Int64(parts[1]), number >= 1, number <= share.downloads else { return false }
    return constantTimeEquals(ShareGrant(share, number: number, sha256: sha256).tag, tag)
  }
}

/// Makes a link to a finished job's result.
public struct ShareCreation: Sendable {
  /// Shares that a job may have at once which have not expired.
  public static let limit = 100
  /// How long a link works when nobody says.
  public static let defaultTerm = Seconds.days(7)

  public var job: JobID
  public var account: AccountID
  public var newID: ShareID
  public var tokenHash: String
  public var grantSecret: [UInt8]
  public var term: Seconds
  public var maximumDownloads: Int64?
  public var now: Timestamp

  public init(
    job: JobID, account: AccountID, newID: ShareID, tokenHash: String, grantSecret: [UInt8], term: Seconds,
    maximumDownloads: Int64?, now: Timestamp
  ) {
    self.job = job
    self.account = account
    self.newID = newID
    self.tokenHash = tokenHash
    self.grantSecret = grantSecret
    self.term = term
    self.maximumDownloads = maximumDownloads
    self.now = now
  }

  /// The share; it ends with the result at the latest. Throws ``MarketError``: not found, not finished, gone, too many.
  public func run(in market: any MarketTransaction) throws -> ShareRecord {
    guard let job = try market.job(job), job.account == account else { throw MarketError.jobNotFound }
    guard job.state.isTerminal else { throw MarketError.notFinished(job.state) }
    if let gone = job.resultsGone(at: now) { throw MarketError.resultsGone(gone) }
    let live = try market.shares(of: job.id).count { !$0.isExpired(at: now) }
    guard live < Self.limit else { throw MarketError.tooManyShares(limit: Self.limit) }
    let share = ShareRecord(
      id: newID, tokenHash: tokenHash, grantSecret: grantSecret, job: job.id, account: account, createdAt: now,
      expiresAt: min(now + term, job.resultExpiresAt ?? .distantFuture), maximumDownloads: maximumDownloads)
    try market.insert(share)
    return share
  }
}

/// Ends a link before its time.
public struct ShareRevocation: Sendable {
  public var share: ShareID
  public var job: JobID
  public var account: AccountID

  public init(share: ShareID, job: JobID, account: AccountID) {
    self.share = share
    self.job = job
    self.account = account
  }

  /// Throws ``MarketError/shareNotFound`` for another job's or account's share as well.
  public func run(in market: any MarketTransaction) throws {
    guard let found = try market.share(share), found.job == job, found.account == account else {
      throw MarketError.shareNotFound
    }
    try market.remove(share: share)
  }
}

extension MarketReader {
  /// What a token opens now. Throws ``MarketError``: ``MarketError/shareNotFound`` for an unknown or revoked one,
  /// ``MarketError/shareExpired(_:)``, and ``MarketError/resultsGone(_:)`` when the owner has removed the result.
  /// Whether it is used up is for the caller to look at: who goes on with a counted download may.
  public func openShare(tokenHash: String, at now: Timestamp) throws -> (share: ShareRecord, job: Job) {
    guard let share = try share(tokenHash: tokenHash), let job = try job(share.job) else {
      throw MarketError.shareNotFound
    }
    if share.isExpired(at: now) { throw MarketError.shareExpired(share.expiresAt) }
    if let gone = job.resultsGone(at: now) { throw MarketError.resultsGone(gone) }
    return (share, job)
  }
}

/// Counts one download, if the share has one left. Exact, because one transaction looks and counts.
public struct DownloadCount: Sendable {
  public var tokenHash: String
  public var now: Timestamp

  public init(tokenHash: String, now: Timestamp) {
    self.tokenHash = tokenHash
    self.now = now
  }

  /// The share with this download in its count. Throws as `openShare`, and ``MarketError/shareNotFound`` when it is
  /// used up.
  public func run(in market: any MarketTransaction) throws -> ShareRecord {
    var (share, _) = try market.openShare(tokenHash: tokenHash, at: now)
    guard !share.isUsedUp else { throw MarketError.shareNotFound }
    try market.countDownload(of: share.id)
    share.downloads += 1
    return share
  }
}
