import Marketplace

/// Sums that are kept with every change, so that no answer has to read all jobs of an account.
extension SQLiteSession {
  private enum Statements {
    static let totals = SQL("SELECT completed, run_time, spent, stored FROM account_totals WHERE account = ?")
    static let add = SQL(
      """
      INSERT INTO account_totals (account, completed, run_time, spent, stored) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET completed = completed + excluded.completed, run_time = run_time + excluded.run_time,
        spent = spent + excluded.spent, stored = stored + excluded.stored
      """)
    static let owner = SQL("SELECT account FROM jobs WHERE id = ?")
  }

  func totals(account: AccountID) throws -> AccountTotals {
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
    try connection.execute(
      Statements.add,
      [
        .id(account), .int64(more.completed), .int64(more.runTime), .int64(more.spent.micros), .int64(more.stored),
      ])
  }
}
