import Clocks
import Cryptography
import HTTPTypes
import Hummingbird
import JSON
import Logging
import Marketplace
import NIOHTTP1
import Store
import Wire

/// The outermost layer of every request: its id, its errors as problem documents, its line in the log.
struct MarketResponder<Inner: HTTPResponder>: HTTPResponder where Inner.Context == AppContext {
  let inner: Inner
  let routes: RouteTable
  /// Bytes of path and query; more is 414.
  let targetLimit: Int
  let limiter: RateLimiter
  let metrics: RequestMetrics
  let log: Logger

  func respond(to request: Request, context: AppContext) async throws -> Response {
    let (id, watch) = (Self.requestID(request), Stopwatch())
    var response: Response
    do {
      if !Self.unlimited.contains(request.uri.path) {
        try limiter.check(key: request.apiKey, address: context.remoteAddress?.ipAddress)
      }
      guard request.uri.string.utf8.count <= targetLimit else {
        throw Problem(414, "target_too_long", "path and query may have at most \(targetLimit) bytes")
      }
      response = try await ExpectContinue.serving(request, context) {
        try await inner.respond(to: request, context: context)
      }
      // The router answers what it does not know without a word.
      if response.status == .notFound, context.endpointPath == "NotFound" { response = unknown(request, id: id) }
      if let problem = Self.wordless(response) {
        let headers = response.headers
        response = .problem(problem, requestID: id)
        for field in headers where field.name != .contentLength { response.headers[field.name] = field.value }
      }
    } catch let error as HTTPParserError {
      // Answered below the routes, and nothing may follow.
      throw error
    } catch {
      response = .problem(problem(for: error, request: request, id: id), requestID: id)
    }
    if request.method == .head {
      // The length that a GET would have; giving a body changes it.
      let length = response.headers[.contentLength]
      response.body = ResponseBody()
      response.headers[.contentLength] = length
    }
    response.headers[.requestID] = id
    response.headers[.contentTypeOptions] = "nosniff"
    if SharedRoutes.prefixes.contains(where: { request.uri.path.hasPrefix($0 + "/") }) {
      // The address is the secret: it goes to no other site, no index, no cache.
      response.headers[.referrerPolicy] = "no-referrer"
      response.headers[.robots] = "noindex"
      response.headers[.cacheControl] = "private, no-store"
    }
    metrics.count(
      request.method, pattern: context.endpointPath, status: response.status.code, microseconds: watch.microseconds)
    log.debug(
      "request",
      metadata: [
        "id": "\(id)", "method": "\(request.method)", "path": "\(LoggablePath.of(request.uri.path))",
        "status": "\(response.status.code)",
      ])
    return response
  }

  /// Whoever watches over the coordinator must see it under any load.
  private static var unlimited: Set<String> { ["/healthz", "/readyz", "/metrics"] }

  /// The caller's id when it is one (letters, digits, `-`, `_`, at most 64), else a new one.
  private static func requestID(_ request: Request) -> String {
    if let id = request.headers[.requestID], (1...64).contains(id.utf8.count),
      id.utf8.allSatisfy({
        (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == 45 || $0 == 95
      })
    {
      return id
    }
    return secureToken(prefix: "req_", bytes: 12)
  }

  private func unknown(_ request: Request, id: String) -> Response {
    let path = LoggablePath.of(request.uri.path)
    guard let allow = routes.allow(request.uri.path) else {
      return .problem(
        Problem(404, "no_such_route", "there is nothing at \(request.method) \(path)"), requestID: id)
    }
    let problem = Problem(405, "method_not_allowed", "\(path) can't be used with \(request.method), only with \(allow)")
    var response = Response.problem(problem, requestID: id)
    response.headers[.allow] = allow
    return response
  }

  /// What to say where a route answered with an error status and headers alone.
  private static func wordless(_ response: Response) -> Problem? {
    guard response.status.code >= 400, response.headers[.contentType] == nil else { return nil }
    switch response.status.code {
    case 409:
      return Problem(409, "wrong_offset", "the upload does not stand there; Upload-Offset tells where it goes on")
    case 404: return .notFound("what was asked for")
    case 416: return Problem(416, "range_not_satisfiable", "the content has no bytes in that range; see Content-Range")
    default: return Problem(response.status.code, "http_error", response.status.reasonPhrase)
    }
  }

  private func problem(for error: any Error, request: Request, id: String) -> Problem {
    switch error {
    case let problem as Problem: return problem
    case let error as MarketError: return error.problem
    case let error as StoreError: return storeProblem(error, id: id)
    case FileStoreError.diskFull: return storeProblem(.diskFull, id: id)
    case let error as HTTPError:
      return Problem(error.status.code, "http_error", error.body ?? error.status.reasonPhrase)
    default:
      log.error(
        "request failed",
        metadata: ["id": "\(id)", "path": "\(LoggablePath.of(request.uri.path))", "error": "\(error)"])
      return Problem(500, "internal", "the coordinator failed; its log has request \(id)")
    }
  }

  private func storeProblem(_ error: StoreError, id: String) -> Problem {
    switch error {
    case .diskFull:
      return Problem(507, "disk_full", "the coordinator's disk is full; nothing was changed", retryAfter: 10)
    case .busy: return Problem(503, "busy", "the coordinator is overloaded; nothing was changed", retryAfter: 1)
    case .closed: return Problem(503, "stopping", "the coordinator is stopping; nothing was changed", retryAfter: 5)
    case .newerVersion, .failed:
      log.error("store failed", metadata: ["id": "\(id)", "error": "\(error)"])
      return Problem(503, "store_failed", "the coordinator's store failed; nothing was changed", retryAfter: 5)
    }
  }
}

extension MarketError {
  /// The answer a client gets.
  var problem: Problem {
    switch self {
    case .jobNotFound: .notFound("job")
    case .accountNotFound: .notFound("account")
    case .keyNotFound: .notFound("key")
    case .minerNotFound: .notFound("miner")
    case .nameTaken(let name):
      Problem(
        409, "name_taken", "there is an account named \(name)", errors: [FieldError("/name", "is taken")])
    case .lastAdminKey:
      Problem(409, "last_admin_key", "this is the last admin key; make another before you revoke it")
    case .minerHolds(let count):
      Problem(409, "miner_holds_jobs", "the miner still works on \(count) jobs; drain it first, or force it")
    case .refused(let refusal):
      Problem(
        409, "state_forbids", refusal.description, extra: JSONObject([("job_status", .string(refusal.state.rawValue))]))
    case .staleLease:
      Problem(409, "stale_lease", "this lease is over: the job is no longer this miner's")
    case .idempotencyMismatch:
      Problem(
        422, "idempotency_mismatch", "this Idempotency-Key was used with another request",
        errors: [FieldError("Idempotency-Key", "was used with another request")])
    case .runKeyMismatch(let existing):
      Problem(
        409, "run_key_conflict",
        "this run key stands for another specification (job \(existing)); use another key",
        errors: [FieldError("/run_key", "stands for another specification")],
        extra: JSONObject([("existing_job_id", .string(existing.rawValue))]))
    case .runKeyNotFound: .notFound("run key")
    case .runKeySpent(let job):
      Problem(
        409, "run_key_spent",
        "this strict run key was used by \(job), of which nothing is left; unlock it to run again",
        errors: [FieldError("/run_key", "was used")], extra: JSONObject([("existing_job_id", .string(job.rawValue))]))
    case .attemptActive(let job, let state):
      Self.forbidden("the latest attempt, \(job), is \(state.rawValue): wait for its end or cancel it", job, state)
    case .notQueued(let job, let state):
      Self.forbidden("\(job) is \(state.rawValue): only a pending job has a place in the queue", job, state)
    case .otherPriority(let job, let priority):
      Problem(
        409, "other_priority",
        "\(job) has priority \(priority.word): jobs are moved among those of one priority; change the priority first")
    case .borrowedTooMuch(let limit):
      Problem(
        409, "borrowed_too_much",
        "\(limit) jobs came forward over more than \(QueueMove.rotationLimit) others already; wait until some of them "
          + "would have had their turn")
    case .quotaExceeded(.activeJobs(let limit)):
      Problem(
        429, "quota_exceeded",
        "the account has \(limit) jobs that have not ended, as many as its plan allows; wait for some, or cancel them",
        retryAfter: 30)
    case .quotaExceeded(.storage(let used, let limit)):
      // Nothing that a client could wait for: somebody has to remove something.
      Problem(
        507, "storage_quota",
        "the account's results take \(used) of the \(limit) bytes that its plan allows; remove some with "
          + "DELETE /v1/jobs/{id}/results or POST /v1/jobs:purge (aitbc client delete, clean)",
        retryAfter: 3_600,
        extra: JSONObject([("storage_bytes", .integer(used)), ("storage_bytes_limit", .integer(limit))]))
    case .inputsMissing(let digests):
      Problem.invalid(
        digests.map { FieldError("/inputs", "there is no blob \($0): upload it first with PUT /v1/blobs/{sha256}") })
    case .notFinished(let state):
      Problem(
        425, "not_finished", "job not ready: it is \(state.rawValue)", retryAfter: 1,
        extra: JSONObject([("job_status", .string(state.rawValue))]))
    case .resultsGone(let moment):
      Problem(
        410, "results_purged", "the results were removed at \(moment)",
        extra: JSONObject([
          ("purged_at", .string(moment.description)), ("purged_at_unix", .integer(moment.unixSeconds)),
        ])
      )
    case .shareNotFound: .notFound("share")
    case .shareExpired(let moment):
      Problem(
        410, "share_expired", "this link expired at \(moment)",
        extra: JSONObject([
          ("expired_at", .string(moment.description)), ("expired_at_unix", .integer(moment.unixSeconds)),
        ]))
    case .tooManyShares(let limit):
      Problem(409, "too_many_shares", "the job has \(limit) links, as many as it may have; revoke some first")
    }
  }

  private static func forbidden(_ detail: String, _ job: JobID, _ state: JobState) -> Problem {
    Problem(
      409, "state_forbids", detail,
      extra: JSONObject([("job_id", .string(job.rawValue)), ("job_status", .string(state.rawValue))]))
  }
}
