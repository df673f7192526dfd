import Marketplace
import Store

/// Accounts, keys, run keys and the answers of idempotent requests.
extension MemorySession {
  func account(_ id: AccountID) throws -> Account? { tables.accounts[id] }
  func account(named name: String) throws -> Account? { tables.accounts.values.first { $0.name == name } }
  func accounts() throws -> [Account] { tables.accounts.values.sorted { $0.id < $1.id } }

  func save(_ account: Account) throws {
    guard !tables.accounts.values.contains(where: { $0.name == account.name && $0.id != account.id }) else {
      throw failed("two accounts named \(account.name)")
    }
    tables.accounts[account.id] = account
  }

  func apiKeys() throws -> [APIKeyRecord] {
    tables.keys.values.sorted { ($0.createdAt, $0.hash) < ($1.createdAt, $1.hash) }
  }

  func insert(_ key: APIKeyRecord) throws {
    if let known = tables.keys[key.hash], known.account != key.account || known.role != key.role {
      throw failed("an API key can't change its account or role")
    }
    tables.keys[key.hash] = key
  }

  func runKey(account: AccountID, key: String) throws -> RunKeyRecord? {
    tables.runKeys[AccountKey(account: account, key: key)]
  }

  func save(_ runKey: RunKeyRecord) throws {
    tables.runKeys[AccountKey(account: runKey.account, key: runKey.key)] = runKey
  }

  func idempotency(account: AccountID, key: String) throws -> IdempotencyRecord? {
    tables.answers[AccountKey(account: account, key: key)]
  }

  func insert(_ answer: IdempotencyRecord) throws {
    let place = AccountKey(account: answer.account, key: answer.key)
    guard tables.answers[place] == nil else { throw failed("an answer to \(answer.key) is there") }
    if !sabotage.contains(.answersAreForgotten) { tables.answers[place] = answer }
  }

  func removeIdempotency(before time: Timestamp, limit: Int) throws -> Int {
    let old = tables.answers.filter { $0.value.createdAt < time }
      .sorted { ($0.value.createdAt, $0.key.key) < ($1.value.createdAt, $1.key.key) }.prefix(max(0, limit))
    for (place, _) in old { tables.answers[place] = nil }
    return old.count
  }
}
