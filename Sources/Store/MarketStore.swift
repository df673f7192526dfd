public import Marketplace

/// The authority on everything: all rows, all changes. Memory elsewhere is a cache that can be thrown away.
///
/// There is one writer. Operations that arrive together share one durable commit, each in a savepoint of its own, so
/// one that throws undoes only itself.
public protocol MarketStore: Sendable {
  /// Names this store's history. Another epoch means that sequence numbers can't be compared.
  var epoch: String { get }

  /// Runs `body` in a transaction and returns when it is durable: on disk, and still there after a power cut. What
  /// `body` throws is thrown here, and nothing it did remains. Throws ``StoreError`` when the store can't do it.
  ///
  /// `body` runs on the writer's thread; it must not block on anything else. It may be run more than once before the
  /// answer, on a state without its own former run, so it must have no effect but on the transaction.
  func write<Value: Sendable>(
    _ body: @escaping @Sendable (any MarketTransaction) throws -> Value
  ) async throws -> Value

  /// Runs `body` on a snapshot of what is durable. Any number of reads run beside the writer.
  func read<Value: Sendable>(_ body: @escaping @Sendable (any MarketReader) throws -> Value) async throws -> Value

  /// Calls `handler` after every commit that appended events, in order of sequence, before the writers of those events
  /// are answered. At most one handler; it must be quick and must not call the store.
  func setEventHandler(_ handler: @escaping @Sendable ([JobEvent]) -> Void)

  /// Stops taking work, finishes what was taken, closes. Safe to call twice.
  func close() async throws
}

/// Why the store can't serve. The state of the market is unchanged.
public enum StoreError: Error, Hashable, Sendable {
  /// The disk is full; reads go on. 507.
  case diskFull
  /// Too many operations wait; try again. 503.
  case busy
  /// It is being closed. 503.
  case closed
  /// Made by a newer program than this one.
  case newerVersion(found: Int, known: Int)
  /// The database says something else; the text is for the log.
  case failed(String)
}

/// Reads of one consistent snapshot. Methods that look for one thing return nil when it is not there; all throw
/// ``StoreError`` when the disk fails.
public protocol MarketReader {
  func account(_ id: AccountID) throws -> Account?
  func account(named name: String) throws -> Account?
  func accounts() throws -> [Account]
  func apiKeys() throws -> [APIKeyRecord]

  func job(_ id: JobID) throws -> Job?
  /// One page of an account's jobs.
  func jobs(_ query: JobQuery) throws -> JobPage
  /// Where a pending job stands among those that ask for the same things.
  func queuePosition(of job: Job) throws -> QueuePosition
  /// The same of many at once; for a page of the queue much cheaper than one by one.
  func queuePositions(of jobs: [Job]) throws -> [JobID: QueuePosition]
  /// Pending jobs of an account.
  func pendingCount(account: AccountID) throws -> Int
  /// Jobs of an account that miners hold.
  func heldCount(account: AccountID) throws -> Int

  /// One page of an account's pending jobs, first in the queue first. `cursor` is ``QueuePage/nextCursor``; another
  /// throws ``InvalidCursor``.
  func queue(account: AccountID, cursor: String?, limit: Int) throws -> QueuePage
  /// A pending job's place. Nil when it does not wait.
  func queuePlace(of job: JobID) throws -> QueuePlace?
  /// Up to `limit` places of a lane behind `place`, or from its head on.
  func lane(_ lane: QueueLane, after place: QueuePlace?, limit: Int) throws -> [QueuePlace]
  /// Up to `limit` places of a lane before `place`, or from its end on; the last first.
  func lane(_ lane: QueueLane, before place: QueuePlace?, limit: Int) throws -> [QueuePlace]
  /// How many places the account has taken from its future that virtual time has not reached; no more than `limit`.
  func borrowedPlaces(account: AccountID, after virtualTime: Int64, limit: Int) throws -> Int
  /// Accounts with jobs that ``MarketTransaction/holdBack(_:)`` took aside.
  func accountsHeldBack() throws -> [AccountID]
  /// Jobs of an account that have not ended.
  func activeCount(account: AccountID) throws -> Int
  /// Jobs of an account by state; states without jobs may be missing.
  func counts(account: AccountID) throws -> [JobState: Int]
  func totals(account: AccountID) throws -> AccountTotals
  /// Jobs of the whole market by state; states without jobs may be missing.
  func counts() throws -> [JobState: Int]
  /// When the pending job that is longest here was submitted; nil when none is pending.
  func oldestPending() throws -> Timestamp?

  func tries(of job: JobID) throws -> [TryRecord]
  func tryRecord(of job: JobID, number: Int) throws -> TryRecord?
  /// The try that a lease token belongs to, live or not.
  func tryRecord(leaseHash: String) throws -> TryRecord?
  /// Every try whose lease is live.
  func heldTries() throws -> [TryRecord]
  /// The artifacts of a try in the order of their names, one at a time: there may be a hundred thousand.
  func forEachArtifact(of job: JobID, tryNumber: Int, _ body: (ArtifactRecord) throws -> Void) throws
  func artifact(of job: JobID, tryNumber: Int, path: String) throws -> ArtifactRecord?
  func package(of job: JobID) throws -> PackageRecord?
  /// Jobs that ended, left files and have no package yet; oldest first.
  func jobsToPackage(limit: Int) throws -> [JobID]

  /// Requirement classes that have pending jobs, with how many.
  func pendingClasses() throws -> [PendingClass]
  /// Up to `limit` claimable jobs of these classes, first in the queue first.
  func claimable(classes: [Int64], limit: Int) throws -> [Job]
  /// Jobs that wait for their time, and the first moment one of them is due.
  func nextAvailable() throws -> Timestamp?
  /// Up to `limit` pending jobs whose time to live is over.
  func expiring(at now: Timestamp, limit: Int) throws -> [Job]
  /// Finished jobs whose result's time is over and whose account is not being given more time, longest gone first.
  func retentionDue(at now: Timestamp, limit: Int) throws -> [Job]
  /// Up to `limit` jobs of a selection whose results were not removed, first ended first; after `job` when it is given.
  func purgeable(_ selection: PurgeSelection, after job: Job?, limit: Int) throws -> [Job]
  /// Jobs whose results are gone while files or rows of them may be left, by id.
  func purging(after job: JobID?, limit: Int) throws -> [JobID]
  func isPurging(_ job: JobID) throws -> Bool
  /// The oldest extension that is not through yet.
  func nextExtension() throws -> RetentionExtension?
  /// Jobs of an account that ended at or before `until`, after the place of the extension, in order of their end, with
  /// their rows.
  func completed(in extension: RetentionExtension, limit: Int) throws -> [(row: Int64, job: Job)]

  /// A share by the hash of its token.
  func share(tokenHash: String) throws -> ShareRecord?
  func share(_ id: ShareID) throws -> ShareRecord?
  /// A job's shares, oldest first.
  func shares(of job: JobID) throws -> [ShareRecord]

  func miner(_ id: MinerID) throws -> MinerRecord?
  func miner(instanceHash: String) throws -> MinerRecord?
  func miners() throws -> [MinerRecord]

  func runKey(account: AccountID, key: String) throws -> RunKeyRecord?
  /// Up to `limit` attempts of a chain with numbers below `number`, latest first. Nil: from the latest on.
  func attempts(_ chain: AttemptChain, below number: Int?, limit: Int) throws -> [Job]
  /// The counter of a chain of reruns, once it has one.
  func rerunChain(root: JobID) throws -> RerunChainRecord?
  func idempotency(account: AccountID, key: String) throws -> IdempotencyRecord?

  /// Events after `sequence`, oldest first; of one account or one job, or of all.
  func events(after sequence: Int64, account: AccountID?, job: JobID?, limit: Int) throws -> [JobEvent]
  /// The highest sequence given; 0 before the first.
  func lastSequence() throws -> Int64
  /// The lowest sequence that is still kept; 1 when nothing was ever removed.
  func firstSequence() throws -> Int64

  /// Whether a blob's content is here.
  func blob(_ sha256: String) throws -> BlobRecord?
  /// How long jobs of each kind took lately.
  func runTimes() throws -> [RunTime]
  /// Up to `limit` blobs that no job names whose results are here, and that nobody has used since `time`.
  func unneededBlobs(usedBefore time: Timestamp, limit: Int) throws -> [String]
  func isNeeded(blob sha256: String) throws -> Bool
  /// Blobs that are forgotten while their files may be left.
  func blobRemovals(limit: Int) throws -> [String]
  /// Market-wide virtual time, see `FairQueue`.
  func virtualTime() throws -> Int64
  /// The ledger's lines of a job.
  func ledger(of job: JobID) throws -> [LedgerLine]
  /// The sum of a party's lines; zero for one that has none.
  func balance(of party: String) throws -> Balance
  /// Adds up the whole ledger: takes a second for some million lines.
  func checkLedger() throws -> LedgerReport
  /// Reports about a job that were refused, oldest first.
  func refusedReports(of job: JobID) throws -> [RefusedReport]
}

/// Changes. All of one transaction become durable together or not at all.
public protocol MarketTransaction: MarketReader {
  func save(_ account: Account) throws
  func insert(_ key: APIKeyRecord) throws

  /// A new job; its id must be new.
  func insert(_ job: Job) throws
  /// The changed part of a job's row.
  func update(_ job: Job) throws
  /// Appends to the event log and gives the event its sequence.
  @discardableResult func append(_ event: JobEvent) throws -> Int64

  func insert(_ attempt: TryRecord) throws
  func update(_ attempt: TryRecord) throws
  /// Replaces an artifact of the same path.
  func save(_ artifact: ArtifactRecord) throws
  /// Up to `limit` of them; returns how many.
  func removeArtifacts(of job: JobID, limit: Int) throws -> Int
  func save(_ package: PackageRecord) throws
  func removePackage(of job: JobID) throws
  /// Takes note that the job's results are gone and its files are to be removed.
  func insertPurge(_ job: JobID) throws
  /// Nothing of the job's results is left.
  func removePurge(_ job: JobID) throws
  /// The job does not need its inputs any more.
  func removeInputs(of job: JobID) throws
  func insertExtension(account: AccountID, retention: Seconds, completedUntil: Timestamp) throws
  func update(_ extension: RetentionExtension) throws
  func remove(_ extension: RetentionExtension) throws

  func insert(_ share: ShareRecord) throws
  /// Counts one more download.
  func countDownload(of share: ShareID) throws
  func remove(share: ShareID) throws

  func save(_ miner: MinerRecord) throws
  /// Forgets a miner's row. What it earned stays.
  func removeMiner(_ id: MinerID) throws
  func save(_ runKey: RunKeyRecord) throws
  func save(_ chain: RerunChainRecord) throws
  func insert(_ answer: IdempotencyRecord) throws
  /// Removes up to `limit` answers older than `time`; returns how many.
  func removeIdempotency(before time: Timestamp, limit: Int) throws -> Int
  /// The number of a requirement class; made when it is new.
  func classID(of requirements: Requirements) throws -> Int64
  /// Makes jobs claimable whose time has come; returns how many.
  func releaseAvailable(at now: Timestamp) throws -> Int

  /// Moves a pending job in the queue.
  func setRank(_ rank: Int64, of job: JobID) throws
  /// The job took an earlier place; `start` is the virtual start it gave up.
  func noteBorrowed(_ start: Int64, by job: JobID) throws
  /// Takes pending jobs aside, so that ``MarketReader/claimable(classes:limit:)`` passes over them.
  func holdBack(_ jobs: [JobID]) throws
  /// Makes up to `limit` jobs of an account that were held back claimable again, the first first; returns how many.
  func releaseHeldBack(account: AccountID, limit: Int) throws -> Int
  func save(_ runTime: RunTime) throws

  func save(_ blob: BlobRecord) throws
  func touch(blob sha256: String, at now: Timestamp) throws
  /// Forgets a blob and takes note that its file is to be removed.
  func forget(blob sha256: String) throws
  /// The file of a forgotten blob is gone, or the blob is back.
  func removeBlobRemoval(_ sha256: String) throws
  func setVirtualTime(_ time: Int64) throws
  /// Posting what is there already (same job, kind and parties) changes nothing. Throws when the lines of a job and kind
  /// do not sum to zero, and when only some of them are there.
  func post(_ lines: [LedgerLine]) throws
  /// Keeps a refused report, at most ``RefusedReport/limit`` different ones of a job; the same again is counted.
  func note(_ report: RefusedReport) throws
}

/// An input's content, named by its digest.
public struct BlobRecord: Hashable, Sendable {
  /// Lower-case hex.
  public let sha256: String
  public let size: Int64
  public let createdAt: Timestamp
  /// When somebody last uploaded it or asked whether it is here.
  public let usedAt: Timestamp

  public init(sha256: String, size: Int64, createdAt: Timestamp, usedAt: Timestamp? = nil) {
    self.sha256 = sha256
    self.size = size
    self.createdAt = createdAt
    self.usedAt = usedAt ?? createdAt
  }
}

/// Pending jobs that ask for the same things.
public struct PendingClass: Hashable, Sendable {
  public let id: Int64
  public let requirements: Requirements
  /// Claimable now.
  public let ready: Int

  public init(id: Int64, requirements: Requirements, ready: Int) {
    self.id = id
    self.requirements = requirements
    self.ready = ready
  }
}

/// Which jobs to list.
public struct JobQuery: Hashable, Sendable {
  public enum Sort: String, CaseIterable, Hashable, Sendable {
    /// Newest first: the default.
    case newest = "-created_at"
    case oldest = "created_at"
    /// Latest end first; jobs that have not ended come last.
    case latestEnd = "-completed_at"
    case earliestEnd = "completed_at"
  }

  public var account: AccountID
  /// Empty: every state.
  public var states: Set<JobState> = []
  /// All must be equal.
  public var labels: [String: String] = [:]
  /// Part of the name, the id or the run key, without case.
  public var text: String?
  /// Created at or after.
  public var from: Timestamp?
  /// Created before.
  public var until: Timestamp?
  public var sort = Sort.newest
  /// 1–500.
  public var limit = 20
  public var offset = 0
  /// Goes on after this page's last; from ``JobPage/nextCursor``.
  public var cursor: String?
  /// Count all that match, not just the page.
  public var countsTotal = true

  public init(account: AccountID) { self.account = account }
}

public struct JobPage: Hashable, Sendable {
  public var jobs: [Job]
  /// All that match the query.
  public var total: Int
  /// Nil on the last page.
  public var nextCursor: String?

  public init(jobs: [Job], total: Int, nextCursor: String?) {
    self.jobs = jobs
    self.total = total
    self.nextCursor = nextCursor
  }
}

/// A cursor that this store did not make.
public struct InvalidCursor: Error, Hashable, Sendable {
  public init() {}
}

extension MarketReader {
  /// All artifacts of a try in the order of their names.
  public func artifacts(of job: JobID, tryNumber: Int) throws -> [ArtifactRecord] {
    var artifacts: [ArtifactRecord] = []
    try forEachArtifact(of: job, tryNumber: tryNumber) { artifacts.append($0) }
    return artifacts
  }
}
