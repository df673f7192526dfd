import Clocks
import HTTPTypes
import Hummingbird
import JSON
import Marketplace
import Store
import Wire

/// Removing results: of one job, or of all that a selection names. Rows, costs and run keys stay.
struct PurgeRoutes {
  let market: Market

  /// Jobs that one request removes at most; `has_more` and `next_cursor` tell of the rest.
  static let limit = 1_000

  func add(to router: Router<AppContext>) {
    router.delete("/v1/jobs/:id/results") { request, context in try await delete(request, context) }
    router.post("/v1/jobs:purge") { request, _ in try await purge(request) }
  }

  /// Repeating it is fine: the answer tells when the results went.
  private func delete(_ request: Request, _ context: AppContext) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    let id = try market.jobID(context)
    let failed: Set<JobID>
    do {
      failed = try await Purger(market: market).purge([id], of: identity.account).failed
    } catch MarketError.notFinished(let state) {
      throw Problem(
        409, "state_forbids", "the job is \(state.rawValue): it has no results yet; cancel it first",
        extra: JSONObject([("job_status", .string(state.rawValue))]))
    }
    let job = try await market.store.read { try $0.ownJob(id, of: identity.account) }
    var object = JSONObject([
      ("job_id", .string(id.rawValue)), ("results_available", false),
      ("errors", .integer(Int64(failed.count))),
    ])
    object.append(time: job.resultPurgedAt, as: "results_purged_at")
    return .json(.object(object))
  }

  private func purge(_ request: Request) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    let bytes = try await request.bytes(limit: market.configuration.bodyLimit)
    let wish = try PurgeWish(try Request.json(bytes, isOptional: true), account: identity.account)
    return .answer(
      try await market.repeatable(try request.idempotency(bytes), of: identity.account) {
        try await purge(wish, of: identity.account)
      })
  }

  private func purge(_ wish: PurgeWish, of account: AccountID) async throws -> JSONValue {
    let (found, hasMore) = try await market.store.read { store in
      let last = try wish.cursor.map { try store.ownJob($0, of: account) }
      let found = try store.purgeable(wish.selection, after: last, limit: Self.limit + 1)
      return (Array(found.prefix(Self.limit)), found.count > Self.limit)
    }
    var removed = found
    var failed: Set<JobID> = []
    if !wish.isDryRun {
      removed = []
      let purger = Purger(market: market)
      for start in stride(from: 0, to: found.count, by: Purger.step) {
        let ids = found[start..<min(start + Purger.step, found.count)].map(\.id)
        let outcome = try await purger.purge(ids, of: account)
        removed += outcome.purged
        failed.formUnion(outcome.failed)
      }
    }
    return [
      "deleted": .integer(Int64(removed.count)), "errors": .integer(Int64(failed.count)),
      "dry_run": .bool(wish.isDryRun), "items": .array(removed.map(Self.item)), "has_more": .bool(hasMore),
      "next_cursor": JSONValue(hasMore ? found.last?.id.rawValue : nil),
    ]
  }

  private static func item(_ job: Job) -> JSONValue {
    var object = JSONObject([
      ("job_id", .string(job.id.rawValue)), ("run_key", JSONValue(job.specification.runKey)),
      ("name", JSONValue(job.specification.name)), ("status", .string(job.state.rawValue)),
    ])
    // What it was selected by.
    object.append(time: job.completedAt, as: "selected_at")
    return .object(object)
  }
}

/// The body of `POST /v1/jobs:purge`.
struct PurgeWish {
  var selection: PurgeSelection
  var isDryRun: Bool
  var cursor: JobID?

  /// Throws 422. A body that selects nothing is refused: everything is selected with `all`.
  init(_ body: JSONValue, account: AccountID) throws(Problem) {
    var reader = FieldReader(body)
    selection = PurgeSelection(account: account)
    selection.before = reader.timestamp("before")
    selection.after = reader.timestamp("after")
    selection.runKey = reader.string("run_key")
    selection.states = Self.states(&reader)
    isDryRun = reader.bool("dry_run") ?? false
    let all = reader.bool("all") ?? false
    if let text = reader.string("cursor") {
      cursor = JobID(text)
      if cursor == nil { reader.fail("cursor", "is not a cursor of this list") }
    }
    if let before = selection.before, let after = selection.after, after > before {
      reader.fail("after", "is later than before")
    }
    if all, selection.before != nil || selection.after != nil {
      reader.fail("all", "can't stand beside before and after")
    }
    if !all, !reader.has("before"), !reader.has("after"), !reader.has("status"), !reader.has("run_key") {
      reader.fail("all", "nothing is selected: give before, after, status or run_key, or all for everything")
    }
    let errors = reader.finish()
    guard errors.isEmpty else { throw Problem.invalid(errors) }
  }

  /// One word, several with commas, or an array of words.
  private static func states(_ reader: inout FieldReader) -> Set<JobState> {
    guard let value = reader.value("status") else { return [] }
    let texts = value.string.map { [$0] } ?? value.array?.compactMap(\.string) ?? []
    let words = texts.flatMap { $0.split(separator: ",").map(String.init) }
    guard !words.isEmpty else {
      reader.fail("status", "must be a state or an array of states")
      return []
    }
    var states: Set<JobState> = []
    for word in words {
      guard let known = JobState.matching(word) else {
        reader.fail("status", "\"\(word)\" is not a state; known are " + JobState.filterWords.joined(separator: ", "))
        continue
      }
      let ended = known.filter(\.isTerminal)
      if ended.isEmpty { reader.fail("status", "\"\(word)\": jobs that have not ended have no results to remove") }
      states.formUnion(ended)
    }
    return states
  }
}
