import Clocks
import JSON
import Marketplace
import Store

extension Market {
  /// Answers a request that may be repeated under its key although its work is more than one transaction. The answer is
  /// kept when the work is done; a repetition before that does it again, which must be harmless. Throws
  /// ``MarketError/idempotencyMismatch`` when the key was used with another request.
  func repeatable(
    _ idempotency: Idempotency?, of account: AccountID, _ work: () async throws -> JSONValue
  ) async throws -> Answer {
    guard let idempotency else { return Answer(status: 200, body: try await work().text, isReplay: false) }
    if let known = try await store.read({ try $0.idempotency(account: account, key: idempotency.key) }) {
      guard known.requestHash == idempotency.requestHash else { throw MarketError.idempotencyMismatch }
      return Answer(status: known.status, body: known.body, isReplay: true)
    }
    let (body, now) = (try await work(), clock.now)
    return try await store.write { store in
      try store.answer(idempotency, of: account, at: now) { (200, body) }
    }
  }
}
