import JSON
import Marketplace
import Store
import Wire

/// One request to submit, as it is made durable: jobs, run keys and the answer that its repetition gets, in one
/// transaction.
struct SubmissionBatch: Sendable {
  struct Item: Sendable {
    let submission: Submission
    /// Nil: the answer tells only what cannot be known without it.
    let context: JobContext?
  }

  struct Outcome: Sendable {
    let document: JSONValue
    let isExisting: Bool
  }

  let account: AccountID
  let items: [Item]
  let idempotency: Idempotency?
  let now: Timestamp
  let answer: @Sendable ([Outcome]) -> (status: Int, body: JSONValue)

  /// Throws ``MarketError``; then nothing of it remains.
  func run(in store: any MarketTransaction) throws -> Answer {
    try store.answer(idempotency, of: account, at: now) {
      let outcomes = try items.map { item in
        let outcome = try item.submission.run(in: store)
        guard var context = item.context else {
          return Outcome(document: Self.receipt(outcome), isExisting: outcome.isExisting)
        }
        if items.count == 1, outcome.job.state == .pending {
          context.take(try store.queuePosition(of: outcome.job))
        }
        if outcome.job.state != .pending { context.pendingReason = nil }
        return Outcome(document: Self.document(outcome, context), isExisting: outcome.isExisting)
      }
      return answer(outcomes)
    }
  }

  /// A job's answer under `Prefer: return=minimal`.
  private static func receipt(_ outcome: Submission.Outcome) -> JSONValue {
    [
      "job_id": .string(outcome.job.id.rawValue), "status": .string(outcome.job.state.rawValue),
      "attempt_no": .integer(Int64(outcome.job.attempt)), "existing": .bool(outcome.isExisting),
      "accepted": .bool(!outcome.isExisting),
    ]
  }

  private static func document(_ outcome: Submission.Outcome, _ context: JobContext) -> JSONValue {
    guard var object = outcome.job.document(context).object else { return .null }
    object["existing"] = .bool(outcome.isExisting)
    object["accepted"] = .bool(!outcome.isExisting)
    if outcome.job.specification.runKey != nil { object["strict_override_used"] = .bool(outcome.usedUnlock) }
    return .object(object)
  }
}
