import Clocks
import Hummingbird
import JSON
import Marketplace
import Store
import Wire

/// `POST /v1/jobs:cancel`: many jobs, named or by filter.
struct BulkCancelRoutes {
  let market: Market

  /// Jobs in one commit, so that others are not kept waiting.
  private static let step = 100

  func add(to router: Router<AppContext>) {
    router.post("/v1/jobs:cancel") { request, _ in try await cancel(request) }
  }

  private func cancel(_ request: Request) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    let bytes = try await request.bytes(limit: market.configuration.bodyLimit)
    let wish = try BulkCancel.parse(
      try Request.json(bytes), account: identity.account, limit: market.configuration.bulkCancelLimit)
    return .answer(
      try await market.repeatable(try request.idempotency(bytes), of: identity.account) { try await cancel(wish) })
  }

  private func cancel(_ wish: BulkCancel) async throws -> JSONValue {
    let (jobs, hasMore) = try await find(wish)
    var items: [Item] = []
    if wish.isDryRun {
      items = jobs.map { Item(id: $0.id, job: $0.job, outcome: Self.expected($0.job)) }
    } else {
      for start in stride(from: 0, to: jobs.count, by: Self.step) {
        items += try await cancel(jobs[start..<min(start + Self.step, jobs.count)].map(\.id), wish)
      }
    }
    func count(_ outcomes: Outcome...) -> JSONValue { .integer(Int64(items.count { outcomes.contains($0.outcome) })) }
    return [
      "dry_run": .bool(wish.isDryRun), "matched": .integer(Int64(items.count)), "canceled": count(.canceled),
      "canceling": count(.canceling), "errors": count(.notFound, .ended), "has_more": .bool(hasMore),
      "items": .array(items.map(\.document)),
    ]
  }

  private func find(_ wish: BulkCancel) async throws -> (jobs: [(id: JobID, job: Job?)], hasMore: Bool) {
    try await market.store.read { store in
      switch wish.selection {
      case .ids(let ids):
        return (
          try ids.map { id in
            let job = try store.job(id)
            return (id, job?.account == wish.account ? job : nil)
          }, false
        )
      case .runKey(let key):
        // Only the latest attempt of a key can be active.
        let record = try store.runKey(account: wish.account, key: key)
        let job = try record.flatMap { try store.job($0.latestJob) }
        return (job.flatMap { $0.state.isTerminal ? nil : [($0.id, $0)] } ?? [], false)
      case .filter(var query):
        var found: [(id: JobID, job: Job?)] = []
        query.countsTotal = false
        repeat {
          query.limit = min(500, wish.limit - found.count)
          let page = try store.jobs(query)
          found += page.jobs.map { ($0.id, $0) }
          query.cursor = page.nextCursor
        } while query.cursor != nil && found.count < wish.limit
        return (found, query.cursor != nil)
      }
    }
  }

  private func cancel(_ ids: [JobID], _ wish: BulkCancel) async throws -> [Item] {
    let now = market.clock.now
    let results = try await market.store.write { store in
      try ids.map { id -> (Item, leaseHash: String?) in
        let operation = Cancellation(
          job: id, account: wish.account, reason: wish.reason, grace: wish.grace, now: now)
        do {
          let outcome = try operation.run(in: store)
          let item = Item(
            id: id, job: outcome.job, outcome: outcome.job.state == .canceled ? .canceled : .canceling)
          return (item, outcome.wasCanceling ? nil : outcome.leaseHash)
        } catch MarketError.jobNotFound {
          return (Item(id: id, job: nil, outcome: .notFound), nil)
        } catch MarketError.refused {
          return (Item(id: id, job: try store.job(id), outcome: .ended), nil)
        }
      }
    }
    for case (_, let lease?) in results { market.dispatcher.cancel(lease, grace: wish.grace) }
    return results.map(\.0)
  }

  private static func expected(_ job: Job?) -> Outcome {
    guard let job else { return .notFound }
    return job.state.isTerminal ? .ended : job.state == .pending ? .canceled : .canceling
  }

  /// What became of one job, or would become of it.
  private enum Outcome: String {
    case canceled
    case canceling
    case ended = "already_ended"
    case notFound = "not_found"
  }

  private struct Item: Sendable {
    let id: JobID
    let job: Job?
    let outcome: Outcome

    var document: JSONValue {
      [
        "job_id": .string(id.rawValue), "name": JSONValue(job?.specification.name),
        "status": JSONValue(job?.state.rawValue), "outcome": .string(outcome.rawValue),
      ]
    }
  }
}
