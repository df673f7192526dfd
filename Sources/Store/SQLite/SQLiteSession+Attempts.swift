import Marketplace

extension SQLiteSession {
  private enum Statements {
    static let ofRunKey = SQL(
      """
      SELECT \(jobColumns) WHERE j.account = ? AND j.run_key = ? AND j.attempt < ?
      ORDER BY j.attempt DESC, j.key DESC LIMIT ?
      """)
    static let ofChain = SQL(
      "SELECT \(jobColumns) WHERE j.chain = ? AND j.attempt < ? ORDER BY j.attempt DESC, j.key DESC LIMIT ?")
    static let chain = SQL("SELECT latest_job, last_attempt FROM rerun_chains WHERE root = ?")
    static let saveChain = SQL(
      """
      INSERT INTO rerun_chains (root, latest_job, last_attempt) VALUES (?, ?, ?)
      ON CONFLICT DO UPDATE SET latest_job = excluded.latest_job, last_attempt = excluded.last_attempt
      """)
  }

  func attempts(_ chain: AttemptChain, below number: Int?, limit: Int) throws -> [Job] {
    let bound = SQLValue.integer(number ?? .max)
    switch chain {
    case .runKey(let key, let account):
      return try connection.all(
        Statements.ofRunKey, [.id(account), .string(key), bound, .integer(max(0, limit))]
      ) { try makeJob($0) }
    case .reruns(let root):
      var jobs = try connection.all(Statements.ofChain, [.id(root), bound, .integer(max(0, limit))]) {
        try makeJob($0)
      }
      // The first attempt did not know that others would follow.
      if jobs.count < limit, let first = try job(root), first.attempt < number ?? .max { jobs.append(first) }
      return jobs
    }
  }

  func rerunChain(root: JobID) throws -> RerunChainRecord? {
    try connection.first(Statements.chain, [.id(root)]) { row in
      RerunChainRecord(root: root, latestJob: try row.id(0), lastAttempt: row.int(1))
    }
  }

  func save(_ chain: RerunChainRecord) throws {
    try connection.execute(
      Statements.saveChain, [.id(chain.root), .id(chain.latestJob), .integer(chain.lastAttempt)])
  }
}
