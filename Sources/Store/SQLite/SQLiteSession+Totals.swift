import Marketplace

/// Sums that are kept with every change, so that no answer has to read all jobs of an account.
extension SQLiteSession {
  private enum Statements {
    static let totals = SQL("SELECT completed, run_time, spent, stored FROM account_totals WHERE account = ?")
    static let save = SQL(
      """
      INSERT INTO account_totals (account, completed, run_time, spent, stored) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET completed = excluded.completed, run_time = excluded.run_time,
        spent = excluded.spent, stored = excluded.stored
      """)
    static let owner = SQL("SELECT account FROM jobs WHERE id = ?")
  }

  func totals(account: AccountID) throws -> AccountTotals {
    guard let cache else { return try storedTotals(account) }
    return try cache.totals(of: account) { try storedTotals(account) }
  }

  private func storedTotals(_ account: AccountID) throws -> AccountTotals {
    try connection.first(Statements.totals, [.id(account)]) { row in
      AccountTotals(
        completed: row.int64(0), runTime: row.int64(1), spent: Money(micros: row.int64(2)), stored: row.int64(3))
    } ?? AccountTotals()
  }

  func activeCount(account: AccountID) throws -> Int {
    try count(account, .pending) + count(account, .assigned) + count(account, .running) + count(account, .canceling)
  }

  func counts(account: AccountID) throws -> [JobState: Int] {
    var counts: [JobState: Int] = [:]
    for state in JobState.allCases {
      let count = try count(account, state)
      if count != 0 { counts[state] = count }
    }
    return counts
  }

  /// Takes a job into the sums that has just ended.
  func addTotals(of job: Job) throws {
    var more = AccountTotals(spent: job.cost)
    if job.state == .completed {
      more.completed = 1
      if let started = job.startedAt, let ended = job.completedAt {
        more.runTime = max(0, ended.millisecondsSince(started))
      }
    }
    guard more != AccountTotals() else { return }
    try add(more, to: job.account)
  }

  /// The packages of a job's account have grown by `bytes`.
  func addStored(_ bytes: Int64, of job: JobID) throws {
    guard bytes != 0, let account: AccountID = try connection.first(Statements.owner, [.id(job)], { try $0.id(0) })
    else {
      return
    }
    try add(AccountTotals(stored: bytes), to: account)
  }

  private func add(_ more: AccountTotals, to account: AccountID) throws {
    try writing().add(more, toTotalsOf: account) { try storedTotals(account) }
  }

  /// Sums change with each end of a job; they are written with the group.
  func write(_ totals: AccountTotals, of account: AccountID) throws {
    try connection.execute(
      Statements.save,
      [
        .id(account), .int64(totals.completed), .int64(totals.runTime), .int64(totals.spent.micros),
        .int64(totals.stored),
      ])
  }
}

extension AccountTotals {
  static func += (left: inout Self, right: Self) {
    left.completed += right.completed
    left.runTime += right.runTime
    // Wraps, so that it can be taken back: prices without measure are a fault that the ledger's check shows.
    left.spent = Money(micros: left.spent.micros &+ right.spent.micros)
    left.stored += right.stored
  }

  static func -= (left: inout Self, right: Self) {
    left.completed -= right.completed
    left.runTime -= right.runTime
    left.spent = Money(micros: left.spent.micros &- right.spent.micros)
    left.stored -= right.stored
  }
}
