import Clocks
import Hummingbird
import HTTPTypes
import JSON
import Marketplace
import Store
import Wire

/// The account's queue: looking at it, moving in it, another priority.
struct QueueRoutes {
  let market: Market

  func add(to router: Router<AppContext>) {
    router.get("/v1/queue") { request, _ in try await list(request) }
    router.post("/v1/queue/move") { request, _ in try await move(request) }
    router.patch("/v1/jobs/:id") { request, context in try await change(request, context) }
  }

  /// The account's pending jobs in the order the dispatcher takes them, each with its place among all that ask for the
  /// same things.
  private func list(_ request: Request) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    var reader = try request.query(["limit", "cursor"])
    let limit = Int(reader.integer("limit", in: 1...500) ?? 20)
    let cursor = reader.string("cursor")
    try reader.check()
    let (page, positions, total) = try await read(identity.account, cursor: cursor, limit: limit)
    let documents = market.documents(page.jobs, positions: positions)
    var headers: HTTPFields = [:]
    if let cursor = page.nextCursor { headers[.link] = "</v1/queue?limit=\(limit)&cursor=\(cursor)>; rel=\"next\"" }
    return .json(
      [
        "jobs": .array(zip(page.jobs, documents).map(Self.entry)), "total": .integer(Int64(total)),
        "has_more": .bool(page.nextCursor != nil), "next_cursor": JSONValue(page.nextCursor),
      ], headers: headers)
  }

  private func read(
    _ account: AccountID, cursor: String?, limit: Int
  ) async throws -> (page: QueuePage, positions: [JobID: QueuePosition], total: Int) {
    do {
      return try await market.store.read { store in
        let page = try store.queue(account: account, cursor: cursor, limit: limit)
        return (page, try store.queuePositions(of: page.jobs), try store.pendingCount(account: account))
      }
    } catch is InvalidCursor {
      throw Problem.invalid([FieldError("cursor", "is not a cursor of the queue")])
    }
  }

  private static func entry(_ job: Job, _ document: JSONValue) -> JSONValue {
    guard var object = document.object else { return .null }
    object["position"] = object["queue_position"] ?? .null
    object["position_is_minimum"] = object["queue_position_is_minimum"] ?? false
    object["rank_class"] = .string(job.priority.word)
    return .object(object)
  }

  private func move(_ request: Request) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    let bytes = try await request.bytes(limit: market.configuration.bodyLimit)
    let (id, target) = try Self.target(of: try Request.json(bytes))
    let operation = QueueMove(job: id, account: identity.account, target: target)
    return try await answer(request, bytes, identity) { try operation.run(in: $0) }
  }

  /// Changes a job and answers with it; repeated under its key, with the first answer.
  private func answer(
    _ request: Request, _ bytes: [UInt8], _ identity: Identity,
    _ change: @escaping @Sendable (any MarketTransaction) throws -> Job
  ) async throws -> Response {
    let (idempotency, now) = (try request.idempotency(bytes), market.clock.now)
    let answer = try await market.store.write { store in
      try store.answer(idempotency, of: identity.account, at: now) {
        let job = try change(store)
        return (200, market.document(job, queuePosition: try store.queuePosition(of: job)))
      }
    }
    return .answer(answer)
  }

  private static func target(of body: JSONValue) throws -> (JobID, QueueMove.Target) {
    var reader = FieldReader(body)
    let id = id("job_id", isRequired: true, &reader)
    let (before, after) = (self.id("before", &reader), self.id("after", &reader))
    let (top, bottom) = (reader.bool("top") ?? false, reader.bool("bottom") ?? false)
    let targets = [
      before.map(QueueMove.Target.before), after.map(QueueMove.Target.after), top ? .top : nil, bottom ? .bottom : nil,
    ].compactMap(\.self)
    if reader.errors.isEmpty, targets.count != 1 {
      reader.add([FieldError("", "give one of before, after (a job's id), top or bottom (true)")])
    }
    if let id, before == id || after == id { reader.fail(before == id ? "before" : "after", "is the job itself") }
    let errors = reader.finish()
    guard errors.isEmpty, let id, let target = targets.first else { throw Problem.invalid(errors) }
    return (id, target)
  }

  /// A job's id. One that is none names no job, as in a path; it is told as a wrong field.
  private static func id(_ name: String, isRequired: Bool = false, _ reader: inout FieldReader) -> JobID? {
    guard reader.has(name) else {
      reader.allow(name)
      if isRequired { reader.fail(name, "is missing") }
      return nil
    }
    guard let text = reader.string(name, limit: 256) else { return nil }
    guard let id = JobID(text) else {
      reader.fail(name, "is not a job's id")
      return nil
    }
    return id
  }

  private func change(_ request: Request, _ context: AppContext) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    let id = try market.jobID(context)
    let bytes = try await request.bytes(limit: market.configuration.bodyLimit)
    var reader = FieldReader(try Request.json(bytes))
    let word = reader.string("priority", limit: 16)
    let priority = word.flatMap { Priority(word: $0) }
    if reader.errors.isEmpty, priority == nil {
      reader.fail("priority", word == nil ? "is missing" : "must be low, normal, high or urgent")
    }
    let errors = reader.finish()
    guard errors.isEmpty, let priority else { throw Problem.invalid(errors) }
    let operation = Reprioritisation(job: id, account: identity.account, priority: priority)
    return try await answer(request, bytes, identity) { try operation.run(in: $0) }
  }
}
