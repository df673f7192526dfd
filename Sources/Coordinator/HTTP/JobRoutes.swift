import Clocks
import HTTPTypes
import Hummingbird
import JSON
import Marketplace
import Store
import Wire

/// `/v1/jobs`: submitting, reading and canceling.
struct JobRoutes {
  let market: Market

  func add(to router: Router<AppContext>) {
    router.post("/v1/jobs") { request, _ in try await submit(request) }
    router.post("/v1/jobs:batch") { request, _ in try await submitBatch(request) }
    router.get("/v1/jobs/:id") { request, context in try await get(request, context) }
    router.get("/v1/jobs/:id/tries") { request, context in try await tries(request, context) }
    router.post("/v1/jobs/:id/cancel") { request, context in try await cancel(request, context) }
    router.delete("/v1/jobs/:id") { request, context in try await delete(request, context) }
  }

  private func submit(_ request: Request) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    var query = try request.query(["dry_run"])
    let isDryRun = query.flag("dry_run")
    try query.check()
    let bytes = try await request.bytes(limit: market.configuration.bodyLimit)
    let specification = try SubmitRequest.parse(try Request.json(bytes))
    if isDryRun {
      try await Submitter(market: market).check([specification])
      let job = Job(
        id: market.newID(JobKind.self), account: identity.account, specification: specification,
        createdAt: market.clock.now)
      return .json(Quotes(market: market).dryRun(job))
    }
    let answer = try await Submitter(market: market).submit(
      specification, for: identity, idempotency: try request.idempotency(bytes))
    return .answer(answer)
  }

  private func submitBatch(_ request: Request) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    let bytes = try await request.bytes(limit: market.configuration.batchBodyLimit)
    let body = try Request.json(bytes)
    var errors: [FieldError] = []
    var jobs = body.array
    if jobs == nil {
      var reader = FieldReader(body)
      jobs = reader.value("jobs")?.array
      if jobs == nil { reader.fail("jobs", "must be an array of jobs") }
      errors += reader.finish()
    }
    let limit = market.configuration.batchLimit
    if let jobs, jobs.isEmpty || jobs.count > limit {
      errors.append(FieldError("/jobs", "must hold between 1 and \(limit) jobs"))
    }
    guard errors.isEmpty, let jobs else { throw Problem.invalid(errors) }
    var specifications: [JobSpecification] = []
    for (index, job) in jobs.enumerated() {
      do {
        specifications.append(try SubmitRequest.parse(job, at: "/jobs/\(index)"))
      } catch {
        errors += error.errors
      }
    }
    guard errors.isEmpty else { throw Problem.invalid(errors) }
    let isMinimal = request.prefersMinimal
    let answer = try await Submitter(market: market).submit(
      batch: specifications, for: identity, idempotency: try request.idempotency(bytes), isMinimal: isMinimal)
    var response = Response.answer(answer)
    // A repetition gets the first answer, whatever that one's preference was.
    if isMinimal, !answer.isReplay { response.headers[.preferenceApplied] = "return=minimal" }
    return response
  }

  private func get(_ request: Request, _ context: AppContext) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    let id = try market.jobID(context)
    let (job, position) = try await market.store.read { store in
      let job = try store.ownJob(id, of: identity.account)
      return (job, job.state == .pending ? try store.queuePosition(of: job) : nil)
    }
    return .json(market.document(job, queuePosition: position))
  }

  private func tries(_ request: Request, _ context: AppContext) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    let id = try market.jobID(context)
    let (tries, refused) = try await market.store.read { store in
      _ = try store.ownJob(id, of: identity.account)
      return (try store.tries(of: id), try store.refusedReports(of: id))
    }
    return .json([
      "job_id": .string(id.rawValue), "tries": .array(tries.map(\.document)),
      "refused_reports": .array(refused.map(\.document)),
    ])
  }

  private func cancel(_ request: Request, _ context: AppContext) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    let id = try market.jobID(context)
    let bytes = try await request.bytes(limit: market.configuration.bodyLimit)
    var reader = FieldReader(try Request.json(bytes, isOptional: true))
    let reason = reader.string("reason", limit: 1_024)
    let grace = reader.integer("grace_seconds", in: 0...CancelRequest.longestGrace.whole).map { Seconds($0) }
    let errors = reader.finish()
    guard errors.isEmpty else { throw Problem.invalid(errors) }
    let operation = Cancellation(
      job: id, account: identity.account, reason: reason, grace: grace ?? CancelRequest.defaultGrace,
      now: market.clock.now)
    return try await cancel(operation, try request.idempotency(bytes))
  }

  /// Repeated under its key it gets its first answer, although the job has ended by then.
  private func cancel(_ operation: Cancellation, _ idempotency: Idempotency?) async throws -> Response {
    let (answer, outcome) = try await market.store.write { store -> (Answer, Cancellation.Outcome?) in
      var outcome: Cancellation.Outcome?
      let answer = try store.answer(idempotency, of: operation.account, at: operation.now) {
        let done = try operation.run(in: store)
        outcome = done
        return (done.wasCanceling ? 200 : 202, market.document(done.job))
      }
      return (answer, outcome)
    }
    if let outcome, let lease = outcome.leaseHash, !outcome.wasCanceling {
      market.dispatcher.cancel(lease, grace: operation.grace)
    }
    return .answer(answer)
  }

  /// The documents of AITBC cancel with DELETE; a job that has ended keeps its row, only its results can go.
  private func delete(_ request: Request, _ context: AppContext) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    let id = try market.jobID(context)
    do {
      let operation = Cancellation(
        job: id, account: identity.account, reason: nil, grace: CancelRequest.defaultGrace, now: market.clock.now)
      return try await cancel(operation, try request.idempotency([]))
    } catch MarketError.refused(let refusal) {
      throw Problem(
        409, "state_forbids",
        "the job has ended: there is nothing to cancel, and it stays in the history (its results are under /results)",
        extra: JSONObject([("job_status", .string(refusal.state.rawValue))]))
    }
  }
}

extension Market {
  /// The job id of the path. Whatever is not one is a job that does not exist.
  func jobID(_ context: AppContext) throws -> JobID {
    guard let id = context.parameters.get("id").flatMap({ JobID($0) }) else { throw Problem.notFound("job") }
    return id
  }
}

extension MarketReader {
  /// Another account's job does not exist for this one.
  func ownJob(_ id: JobID, of account: AccountID) throws -> Job {
    guard let job = try job(id), job.account == account else { throw MarketError.jobNotFound }
    return job
  }
}
