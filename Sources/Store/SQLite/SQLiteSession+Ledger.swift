import Marketplace

extension SQLiteSession {
  private enum Statements {
    static let ofJob = SQL("SELECT kind, party, amount, at FROM ledger WHERE job = ? ORDER BY kind, party")
    static let insert = SQL(
      "INSERT INTO ledger (job, kind, party, amount, at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
  }

  func ledger(of job: JobID) throws -> [LedgerLine] {
    try connection.all(Statements.ofJob, [.id(job)]) { row in
      LedgerLine(
        job: job, kind: try row.word(0), party: row.text(1), amount: Money(micros: row.int64(2)), at: row.time(3))
    }
  }

  func post(_ lines: [LedgerLine]) throws {
    for line in lines {
      try connection.execute(
        Statements.insert,
        [
          .id(line.job), .string(line.kind.rawValue), .string(line.party), .int64(line.amount.micros),
          .time(line.at),
        ])
    }
  }
}
