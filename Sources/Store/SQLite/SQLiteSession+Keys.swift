import Marketplace

/// Accounts and their API keys.
extension SQLiteSession {
  private enum Statements {
    static let account = SQL("SELECT id, name, plan, created_at, virtual_finish FROM accounts WHERE id = ?")
    static let accountNamed = SQL("SELECT id, name, plan, created_at, virtual_finish FROM accounts WHERE name = ?")
    static let accounts = SQL("SELECT id, name, plan, created_at, virtual_finish FROM accounts ORDER BY id")
    static let saveAccount = SQL(
      """
      INSERT INTO accounts (id, name, plan, created_at, virtual_finish) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT (id) DO UPDATE SET name = excluded.name, plan = excluded.plan,
        virtual_finish = excluded.virtual_finish
      """, keepsCache: true)
    static let keys = SQL(
      "SELECT hash, account, role, created_at, revoked_at, name FROM api_keys ORDER BY created_at, hash")
    static let saveKey = SQL(
      """
      INSERT INTO api_keys (hash, account, role, created_at, revoked_at, name) VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT (hash) DO UPDATE SET revoked_at = excluded.revoked_at
        WHERE account = excluded.account AND role = excluded.role
      """)
  }

  func account(_ id: AccountID) throws -> Account? {
    if let known = cache?.account(id) { return known }
    let account = try connection.first(Statements.account, [.id(id)]) { try Self.makeAccount($0) }
    if let account { cache?.noteRead(account) }
    return account
  }

  func account(named name: String) throws -> Account? {
    try flush()
    return try connection.first(Statements.accountNamed, [.string(name)]) { try Self.makeAccount($0) }
  }

  func accounts() throws -> [Account] {
    try flush()
    return try connection.all(Statements.accounts) { try Self.makeAccount($0) }
  }

  func save(_ account: Account) throws {
    let cache = try writing()
    var known = cache.account(account.id)
    known?.virtualFinish = account.virtualFinish
    let isKnown = known == account
    // A new account or name may be refused, and that must happen in this operation.
    if !isKnown { try write(account) }
    cache.save(account, isWritten: !isKnown)
  }

  func write(_ account: Account) throws {
    try connection.execute(
      Statements.saveAccount,
      [
        .id(account.id), .string(account.name), .string(account.plan.rawValue), .time(account.createdAt),
        .int64(account.virtualFinish),
      ])
  }

  func apiKeys() throws -> [APIKeyRecord] {
    try connection.all(Statements.keys) { row in
      APIKeyRecord(
        hash: row.text(0), account: try row.id(1), role: try row.word(2), createdAt: row.time(3),
        revokedAt: row.optionalTime(4), name: row.optionalText(5))
    }
  }

  func insert(_ key: APIKeyRecord) throws {
    try connection.execute(
      Statements.saveKey,
      [
        .string(key.hash), .id(key.account), .string(key.role.rawValue), .time(key.createdAt), .time(key.revokedAt),
        .text(key.name),
      ])
    guard connection.changes == 1 else { throw StoreError.failed("an API key can't change its account or role") }
  }

  private static func makeAccount(_ row: Row) throws -> Account {
    Account(
      id: try row.id(0), name: row.text(1), plan: try row.word(2), createdAt: row.time(3),
      virtualFinish: row.int64(4))
  }
}
