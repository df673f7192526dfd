import Marketplace
import Store

/// A value that is shared between copies of a table, so that copying a table costs a reference for each row.
final class Row<Value: Sendable>: Sendable {
  let value: Value
  init(_ value: Value) { self.value = value }
}

/// A job with what the store knows of it besides.
struct StoredJob: Sendable {
  var job: Job
  /// Order of insertion.
  let key: Int64
  let classID: Int64
  /// Claimable: pending, and its time has come.
  var isReady: Bool
  /// Taken aside, because its account has as many jobs running as it may.
  var isHeldBack = false
  /// The virtual start that it gave up for an earlier place.
  var borrowed: Int64?
  var leftFiles = false
  var isPackaged = false
}

struct AccountKey: Hashable, Sendable {
  let account: AccountID
  let key: String
}

struct LedgerKey: Hashable, Sendable {
  let job: JobID
  let kind: LedgerLine.Kind
  let party: String
}

/// All rows. A value: a copy is a snapshot.
struct MemoryTables: Sendable {
  var accounts: [AccountID: Account] = [:]
  var keys: [String: APIKeyRecord] = [:]
  var jobs: [JobID: Row<StoredJob>] = [:]
  /// Jobs in the state pending, so that the queue is not searched among all.
  var pending: Set<JobID> = []
  /// Jobs that have not ended.
  var active: Set<JobID> = []
  var nextKey: Int64 = 1
  var classes: [Requirements: Int64] = [:]
  var tries: [JobID: [Row<TryRecord>]] = [:]
  /// Job and number by lease hash.
  var leases: [String: LeasePlace] = [:]
  /// Lease hashes of live tries.
  var held: Set<String> = []
  var artifacts: [JobID: [ArtifactRecord]] = [:]
  var packages: [JobID: PackageRecord] = [:]
  var miners: [MinerID: MinerRecord] = [:]
  /// What an account's jobs that have ended add up to; not what is stored.
  var sums: [AccountID: AccountTotals] = [:]
  var purges: Set<JobID> = []
  /// In the order in which they were asked for.
  var extensions: [RetentionExtension] = []
  var nextExtension: Int64 = 1
  var shares: [ShareID: ShareRecord] = [:]
  var chains: [JobID: RerunChainRecord] = [:]
  var runKeys: [AccountKey: RunKeyRecord] = [:]
  var answers: [AccountKey: IdempotencyRecord] = [:]
  /// Sequence 1 stands first; none is ever missing.
  var events: [Row<JobEvent>] = []
  var blobs: [String: BlobRecord] = [:]
  /// Digests of the inputs that a job needs.
  var inputs: [JobID: Set<String>] = [:]
  var blobRemovals: Set<String> = []
  var runTimes: [Requirements: Seconds] = [:]
  /// In the order in which they came.
  var refused: [JobID: [RefusedReport]] = [:]
  var ledger: [LedgerKey: LedgerLine] = [:]
  var virtualTime: Int64 = 0
}

struct LeasePlace: Hashable, Sendable {
  let job: JobID
  let number: Int
}
