import Marketplace

extension SQLiteSession {
  private enum Statements {
    static let ofJob = SQL("SELECT kind, party, amount, at FROM ledger WHERE job = ? ORDER BY kind, party")
    static let insert = SQL(
      "INSERT INTO ledger (job, kind, party, amount, at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
    static let balance = SQL("SELECT amount, lines FROM balances WHERE party = ?")
    static let totals = SQL(
      "SELECT count(*), coalesce(sum(amount), 0), coalesce(sum(max(amount, 0)), 0) FROM ledger")
    static let faults = SQL(
      "SELECT job, kind, sum(amount) FROM ledger GROUP BY job, kind HAVING sum(amount) <> 0 ORDER BY job LIMIT ?")
    static let wrongBalances = SQL(
      """
      SELECT party FROM (
        SELECT party, amount, lines FROM balances
        UNION ALL SELECT party, -sum(amount), -count(*) FROM ledger GROUP BY party)
      GROUP BY party HAVING sum(amount) <> 0 OR sum(lines) <> 0 ORDER BY party LIMIT ?
      """)
  }

  func ledger(of job: JobID) throws -> [LedgerLine] {
    try connection.all(Statements.ofJob, [.id(job)]) { row in
      LedgerLine(
        job: job, kind: try row.word(0), party: row.text(1), amount: Money(micros: row.int64(2)), at: row.time(3))
    }
  }

  func post(_ lines: [LedgerLine]) throws {
    try LedgerLine.checkBalanced(lines)
    var posted = 0
    for line in lines {
      try connection.execute(
        Statements.insert,
        [
          .id(line.job), .string(line.kind.rawValue), .string(line.party), .int64(line.amount.micros),
          .time(line.at),
        ])
      guard connection.changes == 1 else { continue }
      posted += 1
      try writing().add(.init(amount: line.amount.micros, lines: 1), toBalanceOf: line.party) {
        try storedBalance(line.party)
      }
    }
    // A part of it was there: what is added would not sum to zero.
    guard posted == 0 || posted == lines.count else {
      throw StoreError.failed("a ledger posting that is there in part")
    }
  }

  func balance(of party: String) throws -> Balance {
    let sum = try cache.map { try $0.balance(of: party) { try storedBalance(party) } } ?? storedBalance(party)
    return Balance(party: party, amount: Money(micros: sum.amount), lines: sum.lines)
  }

  private func storedBalance(_ party: String) throws -> WriterCache.PartySum {
    try connection.first(Statements.balance, [.string(party)]) {
      WriterCache.PartySum(amount: $0.int64(0), lines: $0.int(1))
    } ?? WriterCache.PartySum(amount: 0, lines: 0)
  }

  func checkLedger() throws -> LedgerReport {
    try flush()
    let limit = SQLValue.integer(LedgerReport.faultLimit)
    let totals = try connection.first(Statements.totals, []) { ($0.int(0), $0.int64(1), $0.int64(2)) } ?? (0, 0, 0)
    return LedgerReport(
      lines: totals.0, sum: Money(micros: totals.1), charged: Money(micros: totals.2),
      faults: try connection.all(Statements.faults, [limit]) {
        LedgerReport.Fault(job: $0.text(0), kind: $0.text(1), sum: Money(micros: $0.int64(2)))
      },
      wrongBalances: try connection.all(Statements.wrongBalances, [limit]) { $0.text(0) })
  }
}
