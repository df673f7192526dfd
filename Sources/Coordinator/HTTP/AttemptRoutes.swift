import Clocks
import Hummingbird
import JSON
import Marketplace
import Store
import Wire

/// Running a job again: reruns, attempts, run keys and their unlocks.
struct AttemptRoutes {
  let market: Market

  /// Attempts in one answer at most.
  static let pageLimit: Int64 = 500

  func add(to router: Router<AppContext>) {
    router.post("/v1/jobs/:id/rerun") { request, context in try await rerun(request, context) }
    router.get("/v1/jobs/:id/attempts") { request, context in try await attempts(request, context) }
    router.get("/v1/run-keys/:key") { request, context in try await runKey(request, context) }
    router.post("/v1/run-keys/:key/unlock") { request, context in try await unlock(request, context) }
  }

  private func rerun(_ request: Request, _ context: AppContext) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    let id = try market.jobID(context)
    let bytes = try await request.bytes(limit: market.configuration.bodyLimit)
    var reader = FieldReader(try Request.json(bytes, isOptional: true))
    let reason = reader.string("reason", limit: 1_024)
    let errors = reader.finish()
    guard errors.isEmpty else { throw Problem.invalid(errors) }
    let source = try await market.store.read { try $0.ownJob(id, of: identity.account) }
    // The disk may be full, and its inputs may be gone by now.
    try await Submitter(market: market).check([source.specification])
    let idempotency = try request.idempotency(bytes)
    let quotes = Quotes(market: market)
    let operation = Rerun(
      source: id, account: identity.account, reason: reason, newID: market.newID(JobKind.self), now: market.clock.now,
      unschedulable: quotes.unschedulable(source.specification))
    let estimate = quotes.context(source.specification, account: identity.account, at: operation.now)
    let answer = try await market.store.write { store in
      try store.answer(idempotency, of: identity.account, at: operation.now) {
        let job = try operation.run(in: store)
        var context = estimate
        if job.state == .pending {
          let position = try store.queuePosition(of: job)
          context.take(position)
          context.estimatedStart = quotes.start(of: job, position)
        } else {
          context.pendingReason = nil
        }
        guard var object = job.document(context).object else { return (201, .null) }
        object["existing"] = false
        object["accepted"] = true
        object["rerun"] = true
        return (201, .object(object))
      }
    }
    market.dispatcher.wake()
    return .answer(answer)
  }

  private func attempts(_ request: Request, _ context: AppContext) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    let id = try market.jobID(context)
    let page = try Page(request)
    let (job, jobs) = try await market.store.read { store in
      let job = try store.ownJob(id, of: identity.account)
      return (job, try store.attempts(job.attempts, below: page.before, limit: page.limit + 1))
    }
    var object = JSONObject([
      ("job_id", .string(id.rawValue)), ("run_key", JSONValue(job.specification.runKey)),
    ])
    append(jobs, page, to: &object)
    return .json(.object(object))
  }

  private func runKey(_ request: Request, _ context: AppContext) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    let key = try Self.key(context)
    let page = try Page(request)
    let (record, jobs) = try await market.store.read { store in
      guard let record = try store.runKey(account: identity.account, key: key) else { throw MarketError.runKeyNotFound }
      let chain = AttemptChain.runKey(key, of: identity.account)
      return (record, try store.attempts(chain, below: page.before, limit: page.limit + 1))
    }
    guard var object = record.document(at: market.clock.now).object else { return .json(.null) }
    append(jobs, page, to: &object)
    return .json(.object(object))
  }

  private func unlock(_ request: Request, _ context: AppContext) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    let key = try Self.key(context)
    let bytes = try await request.bytes(limit: market.configuration.bodyLimit)
    var reader = FieldReader(try Request.json(bytes, isOptional: true))
    let term = reader.duration("ttl")
    let reason = reader.string("reason", limit: 1_024)
    let errors = reader.finish()
    guard errors.isEmpty else { throw Problem.invalid(errors) }
    // Repeated under its key it must not give leave for a second run.
    let idempotency = try request.idempotency(bytes)
    let now = market.clock.now
    let operation = Unlocking(account: identity.account, key: key, reason: reason, term: term, now: now)
    let answer = try await market.store.write { store in
      try store.answer(idempotency, of: identity.account, at: now) {
        (200, try operation.run(in: store).document(at: now))
      }
    }
    return .answer(answer)
  }

  /// The key as it stands in the path, percent-decoded.
  private static func key(_ context: AppContext) throws -> String {
    guard let text = context.parameters.get("key"), !text.isEmpty else { throw Problem.notFound("run key") }
    return PercentDecoding.decode(text[...])
  }

  private func append(_ jobs: [Job], _ page: Page, to object: inout JSONObject) {
    let shown = Array(jobs.prefix(page.limit))
    object.append("attempts", .array(market.documents(shown)))
    object.append("has_more", .bool(jobs.count > shown.count))
    object.append("next_before", jobs.count > shown.count ? JSONValue(shown.last?.attempt) : .null)
  }

  /// Which attempts are wanted: up to `limit` with numbers below `before`.
  private struct Page {
    let limit: Int
    let before: Int?

    init(_ request: Request) throws {
      var reader = try request.query(["limit", "before"])
      limit = Int(reader.integer("limit", in: 1...AttemptRoutes.pageLimit) ?? AttemptRoutes.pageLimit)
      before = reader.integer("before", in: 1...Int64(Int32.max)).map { Int($0) }
      try reader.check()
    }
  }
}

extension RunKeyRecord {
  /// The key's facts. An unlock is shown while it may be used.
  func document(at now: Timestamp) -> JSONValue {
    var object = JSONObject([
      ("run_key", .string(key)), ("strict", .bool(isStrict)), ("latest_job_id", .string(latestJob.rawValue)),
      ("latest_attempt", .integer(Int64(lastAttempt))),
    ])
    if let unlock = validUnlock(at: now) {
      var shown = JSONObject()
      shown.append(time: unlock.grantedAt, as: "allowed_at")
      shown.append(time: unlock.expiresAt, as: "expires_at")
      shown.append("reason", JSONValue(unlock.reason))
      object.append("strict_override", .object(shown))
    } else {
      object.append("strict_override", .null)
    }
    return .object(object)
  }
}
