import Clocks
import Cryptography
import JSON
import Marketplace
import ResultPackage
import Store
import Wire

/// Takes submissions: checks, quotes, and makes them durable in one commit with their answer.
struct Submitter {
  let market: Market

  /// Submits one job. 201 with the job, or 200 with `existing: true`.
  func submit(
    _ specification: JobSpecification, for identity: Identity, idempotency: Idempotency?
  ) async throws -> Answer {
    try await submit([specification], for: identity, idempotency: idempotency) { outcomes in
      let outcome = outcomes[0]
      return (outcome.isExisting ? 200 : 201, outcome.document)
    }
  }

  /// Submits many in one durable commit: all or none. `isMinimal`: the answer names the jobs and does not describe them.
  func submit(
    batch: [JobSpecification], for identity: Identity, idempotency: Idempotency?, isMinimal: Bool
  ) async throws -> Answer {
    try await submit(batch, for: identity, idempotency: idempotency, isMinimal: isMinimal) { outcomes in
      let existing = outcomes.count { $0.isExisting }
      return (
        201,
        [
          "jobs": .array(outcomes.map(\.document)), "accepted": .integer(Int64(outcomes.count - existing)),
          "existing": .integer(Int64(existing)),
        ]
      )
    }
  }

  private func submit(
    _ specifications: [JobSpecification], for identity: Identity, idempotency: Idempotency?, isMinimal: Bool = false,
    answer: @escaping @Sendable ([SubmissionBatch.Outcome]) -> (status: Int, body: JSONValue)
  ) async throws -> Answer {
    try await check(specifications)
    let now = market.clock.now
    let quotes = Quotes(market: market)
    let items = specifications.map { specification in
      SubmissionBatch.Item(
        submission: Submission(
          account: identity.account, specification: specification, newID: market.newID(JobKind.self), now: now,
          unschedulable: quotes.unschedulable(specification)),
        context: isMinimal ? nil : quotes.context(specification, account: identity.account, at: now))
    }
    let operation = SubmissionBatch(
      account: identity.account, items: items, idempotency: idempotency, now: now, answer: answer)
    guard specifications.count == 1, let placing = market.dispatcher.beginPlacing(specifications[0]) else {
      let result = try await market.store.write { try operation.run(in: $0) }
      market.dispatcher.wake()
      return result
    }
    do {
      let (result, outcome) = try await market.store.write { (try operation.run(in: $0), try placing.claim(in: $0)) }
      market.dispatcher.placed(placing, items[0].submission.newID, outcome)
      return result
    } catch {
      market.dispatcher.placed(placing, items[0].submission.newID, nil)
      throw error
    }
  }

  /// What the pure reading of a request can't see: paths, blobs that are not here, a disk that is nearly full. A dry run
  /// makes the same checks.
  func check(_ specifications: [JobSpecification]) async throws {
    try await market.requireRoom()
    var errors: [FieldError] = []
    for (index, specification) in specifications.enumerated() {
      let prefix = specifications.count == 1 ? "" : "/jobs/\(index)"
      for (place, input) in specification.inputs.enumerated() {
        if let fault = Self.fault(inPath: input.path) {
          errors.append(FieldError("\(prefix)/inputs/\(place)/path", fault))
        }
      }
      for (place, path) in specification.artifacts.enumerated() {
        if let fault = Self.fault(inPath: path) { errors.append(FieldError("\(prefix)/artifacts/\(place)", fault)) }
      }
    }
    guard errors.isEmpty else { throw Problem.invalid(errors) }
    try await checkBlobs(specifications)
  }

  private static func fault(inPath path: String) -> String? {
    do {
      _ = try ArtifactPath(validating: path)
      return nil
    } catch {
      return "\(error)"
    }
  }

  private func checkBlobs(_ specifications: [JobSpecification]) async throws {
    let wanted = Set(specifications.flatMap { $0.inputs.map(\.sha256) })
    guard !wanted.isEmpty else { return }
    let missing = try await market.store.read { store in try wanted.filter { try store.blob($0) == nil } }
    guard missing.isEmpty else {
      let errors = specifications.enumerated().flatMap { index, specification in
        specification.inputs.enumerated().filter { missing.contains($0.element.sha256) }.map { place, _ in
          FieldError(
            (specifications.count == 1 ? "" : "/jobs/\(index)") + "/inputs/\(place)/sha256",
            "there is no such blob: upload it first with PUT /v1/blobs/{sha256}")
        }
      }
      throw Problem.invalid(errors)
    }
  }
}
