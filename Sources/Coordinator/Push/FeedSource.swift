public import JSON
public import Marketplace
public import Store
public import Wire

/// What the live feed reads: keys, job documents, the event log, and log bytes. Called from any thread; every call may
/// throw, which closes the connection with 4013 and loses nothing.
public protocol FeedSource: Sendable {
  /// The store's epoch; constant for the life of the process.
  var epoch: String { get }
  /// Whose key this is; nil when it is unknown, revoked or may not read jobs. Never logged.
  func account(forKey key: String) async throws -> AccountID?
  /// The documents of an account's jobs, or of one of them, and the highest sequence of the same read.
  func snapshot(account: AccountID, job: JobID?) async throws -> FeedSnapshot
  /// Which sequences the event log holds, of one read.
  func sequenceBounds() async throws -> SequenceBounds
  /// Events with a sequence above `sequence`, oldest first, at most `limit`; fewer only when there are no more.
  func events(after sequence: Int64, account: AccountID?, job: JobID?, limit: Int) async throws -> [JobEvent]
  /// Whether the job exists and belongs to the account.
  func owns(account: AccountID, job: JobID) async throws -> Bool
  /// Nil when there is no such job.
  func logState(job: JobID) async throws -> LogState?
  /// Up to `limit` bytes of a try's log from `offset`; fewer are fine, none means that they are gone.
  func logBytes(job: JobID, tryNumber: Int, stream: LogStream, offset: Int64, limit: Int) async throws -> [UInt8]
}

/// Where an account's jobs stand.
public struct FeedSnapshot: Hashable, Sendable {
  /// Every event up to this one is in `jobs`.
  public var sequence: Int64
  public var jobs: [JSONValue]
  /// There are more jobs than are listed.
  public var isTruncated: Bool

  public init(sequence: Int64, jobs: [JSONValue], isTruncated: Bool) {
    self.sequence = sequence
    self.jobs = jobs
    self.isTruncated = isTruncated
  }
}

/// What the event log holds.
public struct SequenceBounds: Hashable, Sendable {
  /// The lowest sequence that is kept; 1 when nothing was ever removed.
  public var first: Int64
  /// The highest given; 0 before the first.
  public var last: Int64

  public init(first: Int64, last: Int64) {
    self.first = first
    self.last = last
  }
}

/// How far the logs of a job's latest try are.
public struct LogState: Hashable, Sendable {
  /// 0 before the first try.
  public var tryNumber: Int
  /// Bytes that can be read.
  public var lengths: [LogStream: Int64]
  /// Set when the stream is final. When `isTerminal`, a missing one never comes.
  public var facts: [LogStream: LogFact]
  /// The job has ended: no try follows, and no byte.
  public var isTerminal: Bool

  public init(tryNumber: Int, lengths: [LogStream: Int64], facts: [LogStream: LogFact], isTerminal: Bool) {
    self.tryNumber = tryNumber
    self.lengths = lengths
    self.facts = facts
    self.isTerminal = isTerminal
  }
}

extension FeedSource {
  /// The sequence of the event that ended a job; nil while it runs, and when the log no longer holds it.
  func endSequence(of job: JobID) async throws -> Int64? {
    let page = 256
    var after: Int64 = 0
    // A job has a handful of events for each of its tries; the bound is far above any real job.
    for _ in 0..<64 {
      let events = try await events(after: after, account: nil, job: job, limit: page)
      if let end = events.last(where: { $0.state.isTerminal }) { return end.sequence }
      guard events.count == page, let last = events.last else { return nil }
      after = last.sequence
    }
    return nil
  }
}
