public import JSON

extension MarketplaceClient {
  /// Submits a job; `body` is one of the three shapes of `POST /v1/jobs`. After this returns, the job is durable.
  /// ``JobSnapshot/isExisting`` tells when an earlier one was met.
  ///
  /// - Parameter idempotencyKey: for a repetition of the call by the caller itself, up to 24 hours later.
  public func submit(_ body: JSONValue, idempotencyKey: String? = nil) async throws -> JobSnapshot {
    try job(try await post(APIPath("jobs"), body, idempotencyKey: idempotencyKey))
  }

  /// Who could run it and for how much; stores nothing.
  public func dryRun(_ body: JSONValue) async throws -> JSONValue {
    try await post(APIPath("jobs", query: [("dry_run", "1")]), body)
  }

  /// Submits up to 1,000 jobs in one durable commit: all or none. Answers in the order of `bodies`.
  ///
  /// - Parameter onlyIDs: the snapshots hold little more than ids and states, which costs the coordinator less.
  public func submit(
    batch bodies: [JSONValue], idempotencyKey: String? = nil, onlyIDs: Bool = false
  ) async throws -> [JobSnapshot] {
    let answer = try await transport.call(
      APIRequest(
        .post, APIPath("jobs:batch"), body: ["jobs": .array(bodies)],
        headers: onlyIDs ? [("Prefer", "return=minimal")] : [], idempotencyKey: idempotencyKey)
    ).json()
    guard let jobs = answer["jobs"]?.array ?? answer.array else {
      throw ClientError.unexpected("the answer to a batch has no jobs in it")
    }
    return try jobs.map { try job($0) }
  }

  public func job(_ id: String) async throws -> JobSnapshot { try job(try await get(path(id))) }

  public func jobs(_ filter: JobFilter = JobFilter()) async throws -> JobPage {
    try JobPage(json: try await get(APIPath("jobs", query: filter.query)))
  }

  /// `result` and, when there is none, why. 425 while the job is not finished.
  public func result(_ id: String) async throws -> JSONValue { try await get(path(id, "result")) }

  /// Every placement of the job on a miner.
  public func tries(_ id: String) async throws -> JSONValue { try await get(path(id, "tries")) }

  /// Asks for the end of a job. The answer may still say `canceling`. 409 when it has ended already.
  ///
  /// - Parameter grace: seconds between TERM and KILL; nil: the coordinator's default.
  public func cancel(_ id: String, reason: String? = nil, graceSeconds: Int64? = nil) async throws -> JobSnapshot {
    var body = JSONObject()
    if let reason { body.append("reason", .string(reason)) }
    if let graceSeconds { body.append("grace_seconds", .integer(graceSeconds)) }
    return try job(try await post(path(id, "cancel"), .object(body)))
  }

  /// Submitted, success rate, mean time, spent.
  public func statistics() async throws -> JSONValue { try await get(APIPath("jobs", "stats")) }
}
