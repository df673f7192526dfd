import Marketplace

/// What the writer keeps in memory between statements. Everything in it can be read again from the database; what an
/// operation changed is taken back when the operation is.
final class WriterCache {
  struct CountKey: Hashable {
    let account: AccountID
    let state: JobState
  }

  struct ClassCount: Hashable {
    var pending: Int
    var ready: Int
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
  struct PartySum: Hashable {
    var amount: Int64
    var lines: Int
  }

  private enum Change {
    case count(CountKey, Int)
    case classCount(Int64, pending: Int, ready: Int)
    case account(AccountID, before: Account?)
    case balance(String, Int64)
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
  private var counts: [CountKey: Int] = [:]
  private var classCounts: [Int64: ClassCount] = [:]
  private var balances: [String: PartySum] = [:]
  private var totals: [AccountID: AccountTotals] = [:]

  private var dirtyCounts: Set<CountKey> = []
  private var dirtyClasses: Set<Int64> = []
  private var dirtyAccounts: Set<AccountID> = []
  private var dirtyBalances: Set<String> = []
  private var dirtyTotals: Set<AccountID> = []
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
    counts = [:]
    classCounts = [:]
    balances = [:]
    totals = [:]
    dirtyCounts = []
    dirtyClasses = []
    dirtyAccounts = []
    dirtyBalances = []
    dirtyTotals = []
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
      case .count(let key, let delta):
        counts[key, default: 0] -= delta
        dirtyCounts.insert(key)
      case .classCount(let id, let pending, let ready):
        classCounts[id]?.pending -= pending
        classCounts[id]?.ready -= ready
        dirtyClasses.insert(id)
      case .account(let id, let before):
        accounts[id] = before
        if before != nil { dirtyAccounts.insert(id) } else { dirtyAccounts.remove(id) }
      case .balance(let party, let amount):
        balances[party]?.amount &-= amount
        balances[party]?.lines -= 1
        dirtyBalances.insert(party)
      case .totals(let account, let more):
        totals[account]? -= more
        dirtyTotals.insert(account)
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
    dirtyCounts = Set(counts.keys)
    dirtyClasses = Set(classCounts.keys)
    dirtyAccounts = Set(accounts.keys)
    dirtyBalances = Set(balances.keys)
    dirtyTotals = Set(totals.keys)
    isVirtualTimeDirty = true
  }

  /// After the commit: hands out the group's events and keeps the maps bounded.
  func endGroup() -> [JobEvent] {
    if classIDs.count > Self.limit { classIDs = [:] }
    if counts.count > Self.limit { counts = [:] }
    if classCounts.count > Self.limit { classCounts = [:] }
    if accounts.count > Self.limit { accounts = [:] }
    if balances.count > Self.limit { balances = [:] }
    if totals.count > Self.limit { totals = [:] }
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

  func count(_ key: CountKey, load: () throws -> Int) rethrows -> Int {
    if let count = counts[key] { return count }
    let count = try load()
    counts[key] = count
    return count
  }

  func add(_ delta: Int, to key: CountKey, load: () throws -> Int) rethrows {
    counts[key] = try count(key, load: load) + delta
    dirtyCounts.insert(key)
    changes.append(.count(key, delta))
  }

  func classCount(_ id: Int64, load: () throws -> ClassCount) rethrows -> ClassCount {
    if let count = classCounts[id] { return count }
    let count = try load()
    classCounts[id] = count
    return count
  }

  func add(pending: Int, ready: Int, toClass id: Int64, load: () throws -> ClassCount) rethrows {
    var count = try classCount(id, load: load)
    count.pending += pending
    count.ready += ready
    classCounts[id] = count
    dirtyClasses.insert(id)
    changes.append(.classCount(id, pending: pending, ready: ready))
  }

  func balance(of party: String, load: () throws -> PartySum) rethrows -> PartySum {
    if let sum = balances[party] { return sum }
    let sum = try load()
    balances[party] = sum
    return sum
  }

  /// One more line of a party.
  func add(_ amount: Int64, toBalanceOf party: String, load: () throws -> PartySum) rethrows {
    var sum = try balance(of: party, load: load)
    // Wraps rather than stops the market: prices without measure are a fault that the check of the ledger shows.
    sum.amount &+= amount
    sum.lines += 1
    balances[party] = sum
    dirtyBalances.insert(party)
    changes.append(.balance(party, amount))
  }

  func totals(of account: AccountID, load: () throws -> AccountTotals) rethrows -> AccountTotals {
    if let known = totals[account] { return known }
    let found = try load()
    totals[account] = found
    return found
  }

  func add(_ more: AccountTotals, toTotalsOf account: AccountID, load: () throws -> AccountTotals) rethrows {
    var sums = try totals(of: account, load: load)
    sums += more
    totals[account] = sums
    dirtyTotals.insert(account)
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
    for key in dirtyCounts { try writeCount(key, counts[key] ?? 0) }
    dirtyCounts.removeAll(keepingCapacity: true)
    for id in dirtyClasses {
      if let count = classCounts[id] { try writeClass(id, count) }
    }
    dirtyClasses.removeAll(keepingCapacity: true)
    for party in dirtyBalances {
      if let sum = balances[party] { try writeBalance(party, sum) }
    }
    dirtyBalances.removeAll(keepingCapacity: true)
    for account in dirtyTotals {
      if let sums = totals[account] { try writeTotals(account, sums) }
    }
    dirtyTotals.removeAll(keepingCapacity: true)
    if isVirtualTimeDirty { try writeVirtualTime(virtualTime) }
    isVirtualTimeDirty = false
  }
}
