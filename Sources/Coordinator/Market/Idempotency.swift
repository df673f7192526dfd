import JSON
import Marketplace
import Store

/// A repeatable request: its key, and what it asked.
struct Idempotency: Sendable {
  let key: String
  /// Lower-case hex SHA-256 of method, path and body.
  let requestHash: String
}

/// The answer to a request that may be repeated.
struct Answer: Sendable {
  let status: Int
  let body: String
  /// It was given before, to an earlier request with the same key.
  let isReplay: Bool
}

extension MarketTransaction {
  /// The stored answer to a request that was made before, else what `body` makes, stored in the same transaction.
  /// Throws ``MarketError/idempotencyMismatch`` when the key was used with another request.
  func answer(
    _ idempotency: Idempotency?, of account: AccountID, at now: Timestamp,
    _ body: () throws -> (status: Int, body: JSONValue)
  ) throws -> Answer {
    if let idempotency, let known = try self.idempotency(account: account, key: idempotency.key) {
      guard known.requestHash == idempotency.requestHash else { throw MarketError.idempotencyMismatch }
      return Answer(status: known.status, body: known.body, isReplay: true)
    }
    let made = try body()
    let answer = Answer(status: made.status, body: made.body.text, isReplay: false)
    if let idempotency {
      try insert(
        IdempotencyRecord(
          account: account, key: idempotency.key, requestHash: idempotency.requestHash, status: answer.status,
          body: answer.body, createdAt: now))
    }
    return answer
  }
}
