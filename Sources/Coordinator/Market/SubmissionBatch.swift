import JSON
import Marketplace
import Store
import Wire

/// One request to submit, as it is made durable: jobs, run keys and the answer that its repetition gets, in one
/// transaction.
struct SubmissionBatch: Sendable {
  /// A repeatable request: its key, and what it asked.
  struct Idempotency: Sendable {
    let key: String
    let requestHash: String
  }

  struct Answer: Sendable {
    let status: Int
    let body: String
    /// The answer to an earlier request with the same key.
    let isReplay: Bool
  }

  struct Item: Sendable {
    let submission: Submission
    let context: JobContext
  }

  struct Outcome: Sendable {
    let document: JSONValue
    let isExisting: Bool
  }

  let account: AccountID
  let items: [Item]
  let idempotency: Idempotency?
  let now: Timestamp
  let answer: @Sendable ([Outcome]) -> (Int, JSONValue)

  /// Throws ``MarketError``; then nothing of it remains.
  func run(in store: any MarketTransaction) throws -> Answer {
    if let idempotency, let known = try store.idempotency(account: account, key: idempotency.key) {
      guard known.requestHash == idempotency.requestHash else { throw MarketError.idempotencyMismatch }
      return Answer(status: known.status, body: known.body, isReplay: true)
    }
    let outcomes = try items.map { item in
      let outcome = try item.submission.run(in: store)
      var context = item.context
      if items.count == 1, outcome.job.state == .pending {
        // 1 is the next.
        context.queuePosition = try store.queuePosition(of: outcome.job) + 1
      }
      return Outcome(document: Self.document(outcome, context), isExisting: outcome.isExisting)
    }
    let (status, body) = answer(outcomes)
    if let idempotency {
      try store.insert(
        IdempotencyRecord(
          account: account, key: idempotency.key, requestHash: idempotency.requestHash, status: status,
          body: body.text, createdAt: now))
    }
    return Answer(status: status, body: body.text, isReplay: false)
  }

  private static func document(_ outcome: Submission.Outcome, _ context: JobContext) -> JSONValue {
    guard var object = outcome.job.document(context).object else { return .null }
    object["existing"] = .bool(outcome.isExisting)
    object["accepted"] = .bool(!outcome.isExisting)
    if outcome.job.specification.runKey != nil { object["strict_override_used"] = .bool(outcome.usedUnlock) }
    return .object(object)
  }
}
