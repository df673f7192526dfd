import Marketplace

/// What the writer keeps in memory between statements. Everything in it can be read again from the database; what an
/// operation changed is taken back when the operation is.
final class WriterCache {
  struct CountKey: Hashable {
    let account: AccountID
    let state: JobState
  }

  struct ClassCount: Hashable, CountedSum {
    var pending: Int
    var ready: Int

    static func += (sum: inout Self, more: Self) {
      sum.pending += more.pending
      sum.ready += more.ready
    }

    static func -= (sum: inout Self, more: Self) {
      sum.pending -= more.pending
      sum.ready -= more.ready
    }
  }

  /// What `update` must know about a job's row as it stands.
  struct JobRow {
    let key: Int64
    let account: AccountID
    let classID: Int64
    var state: JobState
    /// Claimable: pending, its time has come, and not held back.
    var isReady: Bool
    var priority: Priority
    /// The specification is known to be small enough to be kept in memory.
    var isSmall = false
  }

  /// A party's lines in the ledger.
  struct PartySum: Hashable, CountedSum {
    var amount: Int64
    var lines: Int

    // Wraps rather than stops the market: prices without measure are a fault that the check of the ledger shows.
    static func += (sum: inout Self, more: Self) {
      sum.amount &+= more.amount
      sum.lines += more.lines
    }

    static func -= (sum: inout Self, more: Self) {
      sum.amount &-= more.amount
      sum.lines -= more.lines
    }
  }

  private enum Change {
    case count(CountKey, Int)
    case classCount(Int64, ClassCount)
    case account(AccountID, before: Account?)
    case balance(String, PartySum)
    case totals(AccountID, AccountTotals)
  }

  /// Bytes of a specification's text up to which a job is kept in memory between operations.
  static let smallSpecification = 4 << 10

  /// Beyond this many entries a map is dropped and read anew.
  private static let limit = 10_000

  private(set) var lastSequence: Int64 = 0
  private(set) var virtualTime: Int64 = 0
  /// Events of the operations that succeeded so far in this group, in order.
  private(set) var events: [JobEvent] = []
  /// Rows this operation has read or written.
  var rows: [JobID: JobRow] = [:]
  var classIDs: [Requirements: Int64] = [:]
  /// Rows kept between operations.
  var hot = HotRows()
  private var accounts: [AccountID: Account] = [:]
  private var counts = CachedSums<CountKey, Int>()
  private var classCounts = CachedSums<Int64, ClassCount>()
  private var balances = CachedSums<String, PartySum>()
  private var totals = CachedSums<AccountID, AccountTotals>()

  private var dirtyAccounts: Set<AccountID> = []
  private var isVirtualTimeDirty = false

  private var changes: [Change] = []
  private var savedSequence: Int64 = 0
  private var savedVirtualTime: Int64 = 0
  private var savedEventCount = 0
  private var wasFlushed = false

  /// Forgets all and starts from what is durable.
  func reset(lastSequence: Int64, virtualTime: Int64) {
    self.lastSequence = lastSequence
    self.virtualTime = virtualTime
    events = []
    rows = [:]
    classIDs = [:]
    hot.removeAll()
    accounts = [:]
    counts.removeAll()
    classCounts.removeAll()
    balances.removeAll()
    totals.removeAll()
    dirtyAccounts = []
    isVirtualTimeDirty = false
  }

  // MARK: Operations

  func beginOperation() {
    rows.removeAll(keepingCapacity: true)
    hot.beginOperation()
    changes.removeAll(keepingCapacity: true)
    savedSequence = lastSequence
    savedVirtualTime = virtualTime
    savedEventCount = events.count
    wasFlushed = false
  }

  func undoOperation() {
    for change in changes.reversed() {
      switch change {
      case .count(let key, let more): counts.takeBack(more, from: key)
      case .classCount(let id, let more): classCounts.takeBack(more, from: id)
      case .account(let id, let before):
        accounts[id] = before
        if before != nil { dirtyAccounts.insert(id) } else { dirtyAccounts.remove(id) }
      case .balance(let party, let more): balances.takeBack(more, from: party)
      case .totals(let account, let more): totals.takeBack(more, from: account)
      }
    }
    hot.undoOperation()
    lastSequence = savedSequence
    virtualTime = savedVirtualTime
    events.removeSubrange(savedEventCount...)
    rows = [:]
    // A class that the operation made is gone, and its number may be given again.
    classIDs = [:]
    guard wasFlushed else { return }
    // The rows that were flushed are rolled back too, with what earlier operations of the group had changed.
    counts.markAllDirty()
    classCounts.markAllDirty()
    balances.markAllDirty()
    totals.markAllDirty()
    dirtyAccounts = Set(accounts.keys)
    isVirtualTimeDirty = true
  }

  /// After the commit: hands out the group's events and keeps the maps bounded.
  func endGroup() -> [JobEvent] {
    if classIDs.count > Self.limit { classIDs = [:] }
    if accounts.count > Self.limit { accounts = [:] }
    counts.trim(to: Self.limit)
    classCounts.trim(to: Self.limit)
    balances.trim(to: Self.limit)
    totals.trim(to: Self.limit)
    defer { events.removeAll(keepingCapacity: true) }
    return events
  }

  // MARK: Values

  /// An event that is in the database, with its sequence.
  func appended(_ event: JobEvent) {
    lastSequence = event.sequence
    events.append(event)
  }

  func setVirtualTime(_ time: Int64) {
    virtualTime = time
    isVirtualTimeDirty = true
  }

  func count(_ key: CountKey, load: () throws -> Int) rethrows -> Int { try counts.value(of: key, load: load) }

  func add(_ more: Int, to key: CountKey, load: () throws -> Int) rethrows {
    try counts.add(more, to: key, load: load)
    changes.append(.count(key, more))
  }

  func classCount(_ id: Int64, load: () throws -> ClassCount) rethrows -> ClassCount {
    try classCounts.value(of: id, load: load)
  }

  func add(_ more: ClassCount, toClass id: Int64, load: () throws -> ClassCount) rethrows {
    try classCounts.add(more, to: id, load: load)
    changes.append(.classCount(id, more))
  }

  func balance(of party: String, load: () throws -> PartySum) rethrows -> PartySum {
    try balances.value(of: party, load: load)
  }

  func add(_ more: PartySum, toBalanceOf party: String, load: () throws -> PartySum) rethrows {
    try balances.add(more, to: party, load: load)
    changes.append(.balance(party, more))
  }

  func totals(of account: AccountID, load: () throws -> AccountTotals) rethrows -> AccountTotals {
    try totals.value(of: account, load: load)
  }

  func add(_ more: AccountTotals, toTotalsOf account: AccountID, load: () throws -> AccountTotals) rethrows {
    try totals.add(more, to: account, load: load)
    changes.append(.totals(account, more))
  }

  // MARK: Accounts

  func account(_ id: AccountID) -> Account? { accounts[id] }

  func noteRead(_ account: Account) { accounts[account.id] = account }

  /// An account as the operation leaves it. `isWritten`: the row says so already; else it is written with the group,
  /// since an account changes with each of its submissions.
  func save(_ account: Account, isWritten: Bool) {
    changes.append(.account(account.id, before: accounts.updateValue(account, forKey: account.id)))
    if isWritten { dirtyAccounts.remove(account.id) } else { dirtyAccounts.insert(account.id) }
  }

  /// Rows change by a statement of their own: forgets what it had of them. Flush first.
  func forgetRows() {
    hot.removeAll()
    rows.removeAll(keepingCapacity: true)
    accounts = [:]
  }

  // MARK: Flushing

  /// Hands every value that the database does not have yet to `write…`.
  func flush(
    writeCount: (CountKey, Int) throws -> Void, writeClass: (Int64, ClassCount) throws -> Void,
    writeAccount: (Account) throws -> Void, writeBalance: (String, PartySum) throws -> Void,
    writeTotals: (AccountID, AccountTotals) throws -> Void, writeVirtualTime: (Int64) throws -> Void
  ) throws {
    wasFlushed = true
    for id in dirtyAccounts {
      if let account = accounts[id] { try writeAccount(account) }
    }
    dirtyAccounts.removeAll(keepingCapacity: true)
    try counts.flush(writeCount)
    try classCounts.flush(writeClass)
    try balances.flush(writeBalance)
    try totals.flush(writeTotals)
    if isVirtualTimeDirty { try writeVirtualTime(virtualTime) }
    isVirtualTimeDirty = false
  }
}
