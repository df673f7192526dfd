import Cryptography
public import Marketplace

/// Makes an account. Throws ``MarketError/nameTaken(_:)``.
public struct AccountCreation: Sendable {
  public var name: String
  public var plan: Plan
  public var newID: AccountID
  public var now: Timestamp

  public init(name: String, plan: Plan, newID: AccountID, now: Timestamp) {
    self.name = name
    self.plan = plan
    self.newID = newID
    self.now = now
  }

  public func run(in market: any MarketTransaction) throws -> Account {
    guard try market.account(named: name) == nil else { throw MarketError.nameTaken(name) }
    let account = Account(id: newID, name: name, plan: plan, createdAt: now)
    try market.save(account)
    return account
  }
}

/// Makes an API key; only its hash is stored.
public struct KeyCreation: Sendable {
  /// The key itself, made by the caller.
  public var secret: String
  public var account: AccountID
  public var role: Role
  /// What it is for, as people say.
  public var name: String?
  public var now: Timestamp

  public init(secret: String, account: AccountID, role: Role, name: String?, now: Timestamp) {
    self.secret = secret
    self.account = account
    self.role = role
    self.name = name
    self.now = now
  }

  public func run(in market: any MarketTransaction) throws -> APIKeyRecord {
    guard try market.account(account) != nil else { throw MarketError.accountNotFound }
    let record = APIKeyRecord(
      hash: SHA256.hash(secret.utf8).hex, account: account, role: role, createdAt: now, name: name)
    try market.insert(record)
    return record
  }
}

/// Ends a key. Ending it again changes nothing.
public struct KeyRevocation: Sendable {
  /// ``APIKeyRecord/id``.
  public var id: String
  public var now: Timestamp

  public init(id: String, now: Timestamp) {
    self.id = id
    self.now = now
  }

  /// Throws ``MarketError/keyNotFound``, and ``MarketError/lastAdminKey`` for the only admin key that is left: nobody
  /// could make another.
  public func run(in market: any MarketTransaction) throws -> APIKeyRecord {
    let keys = try market.apiKeys()
    guard var key = keys.first(where: { $0.id == id }) else { throw MarketError.keyNotFound }
    guard key.revokedAt == nil else { return key }
    let isLast = !keys.contains { $0.role == .admin && $0.revokedAt == nil && $0.hash != key.hash }
    guard key.role != .admin || !isLast else { throw MarketError.lastAdminKey }
    key.revokedAt = now
    try market.insert(key)
    return key
  }
}

extension MarketReader {
  /// An account by its id or its name.
  public func account(reference: String) throws -> Account? {
    if let id = AccountID(reference) { return try account(id) }
    return try account(named: reference)
  }
}
