import Cryptography
import Marketplace
import Store
import Synchronization
import Wire

/// Who sends a request.
struct Identity: Hashable, Sendable {
  let account: AccountID
  let role: Role
  /// The hash of the key, by which what it opened is found when it is revoked.
  let keyHash: String
}

/// Knows the API keys by their hashes. The hash is of 256 random bits, so looking it up leaks nothing about a key.
final class Authenticator: Sendable {
  private let keys = Mutex<[String: APIKeyRecord]>([:])

  func load(from store: any MarketStore) async throws {
    let records = try await store.read { try $0.apiKeys() }
    keys.withLock { keys in
      keys = Dictionary(records.map { ($0.hash, $0) }, uniquingKeysWith: { _, new in new })
    }
  }

  /// A key that was just made or revoked; call after the commit.
  func update(_ record: APIKeyRecord) { keys.withLock { $0[record.hash] = record } }

  /// False when the key was revoked.
  func isValid(keyHash: String) -> Bool { keys.withLock { $0[keyHash].map { $0.revokedAt == nil } ?? false } }

  /// Nil for an unknown or revoked key.
  func identity(of key: String) -> Identity? {
    let hash = SHA256.hash(key.utf8).hex
    guard let record = keys.withLock({ $0[hash] }), record.revokedAt == nil else { return nil }
    return Identity(account: record.account, role: record.role, keyHash: hash)
  }

  /// Throws 401 without a known key, 403 when the key's role is another. An admin key may do what a client may.
  func require(_ role: Role, key: String?) throws(Problem) -> Identity {
    let identity = try require(key: key)
    guard identity.role == role || (identity.role == .admin && role == .client) else {
      throw Problem(
        403, "wrong_role", "this needs a key of role \(role.rawValue); yours has role \(identity.role.rawValue)")
    }
    return identity
  }

  /// Throws 401 without a known key, whatever its role.
  func require(key: String?) throws(Problem) -> Identity {
    guard let key else {
      throw Problem(401, "unauthenticated", "give an API key in X-Api-Key or as Authorization: Bearer")
    }
    guard let identity = identity(of: key) else { throw Problem(401, "invalid_api_key", "invalid api key") }
    return identity
  }
}
