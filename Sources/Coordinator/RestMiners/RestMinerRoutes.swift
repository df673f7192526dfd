import Clocks
import HTTPTypes
import Hummingbird
import JSON
import Logging
import Marketplace
import NIOCore
import ServiceLifecycle
import Store
import Wire

/// AITBC's miner protocol over REST: register, heartbeat, poll, result, fail. The rules are those of the channel; only
/// the words differ. See docs/protocol.md.
struct RestMinerRoutes {
  let market: Market

  func add(to router: Router<AppContext>) {
    router.post("/v1/miners/register") { request, _ in try await register(request) }
    router.post("/v1/miners/heartbeat") { request, _ in try await heartbeat(request) }
    router.post("/v1/miners/poll") { request, context in try await poll(request, context) }
    router.post("/v1/miners/:id/result") { request, context in
      try await end(request, context, .result) { try MinerReport(result: $0, header: $1) }
    }
    router.post("/v1/miners/:id/fail") { request, context in
      try await end(request, context, .failure) { try MinerReport(failure: $0, header: $1) }
    }
  }

  private func body(_ request: Request, isOptional: Bool = false) async throws -> JSONValue {
    try Request.json(
      try await request.bytes(limit: market.configuration.bodyLimit), isOptional: isOptional)
  }
}

// MARK: - Who it is

extension RestMinerRoutes {
  /// The miner that a request is of: `X-Miner-ID` or `?miner_id=` with its id or name, else the key's own. Connected
  /// again when it had been silent. Throws 404 for one that never registered.
  private func miner(_ request: Request, _ identity: Identity) async throws -> PollingMiner {
    let reference = try reference(request) ?? PollingMiners.defaultName(of: identity)
    if let id = MinerID(reference), let known = market.polling[id],
      market.dispatcher.account(of: id) == identity.account
    {
      known.heard(keyHash: identity.keyHash)
      return known
    }
    let (record, held) = try await market.store.read { store in
      let hash = PollingMiners.instanceHash(account: identity.account, name: reference)
      let found = try MinerID(reference).map { try store.miner($0) } ?? store.miner(instanceHash: hash)
      guard let found, found.isPolling, found.account == identity.account else {
        throw Problem(404, "not_registered", "miner not registered: begin with POST /v1/miners/register")
      }
      return (found, try store.held(by: found.id))
    }
    return market.polling.attach(record, held: held, identity: identity, in: market)
  }

  private func reference(_ request: Request) throws -> String? {
    if let header = request.headers[.minerID], !header.isEmpty { return header }
    return try request.query(["miner_id"]).string("miner_id")
  }

  private func register(_ request: Request) async throws -> Response {
    let identity = try market.authenticator.require(.miner, key: request.apiKey)
    let wish = try RegisterRequest(try await body(request, isOptional: true))
    // An id names a miner that is there: it keeps its name.
    var name = wish.name
    if let reference = try reference(request) {
      if let id = MinerID(reference) {
        guard let known = try await market.store.read({ try $0.miner(id) }), known.isPolling,
          known.account == identity.account
        else { throw MarketError.minerNotFound }
        name = known.name
      } else {
        name = name ?? reference
      }
    }
    let chosen = name ?? PollingMiners.defaultName(of: identity)
    let registration = Registration(
      account: identity.account, instanceHash: PollingMiners.instanceHash(account: identity.account, name: chosen),
      name: chosen, version: wish.version, offer: wish.offer, newID: market.newID(MinerKind.self),
      now: market.clock.now, isPolling: true)
    let (record, held) = try await market.store.write { store in
      let record = try registration.run(in: store).miner
      return (record, try store.held(by: record.id))
    }
    // It remembers nothing: whatever it held may have run, and is lost.
    if wish.isFresh {
      for (attempt, _) in held {
        try await market.lose(
          LeaseTable.Lease(ending: attempt, at: market.clock.monotonic),
          reason: "the miner was started anew and lost it")
      }
    }
    let miner = market.polling.attach(record, held: wish.isFresh ? [] : held, identity: identity, in: market)
    market.log.info("miner registered", metadata: ["miner": "\(record.id)", "name": "\(record.name)"])
    var answer = signOfLife(of: miner, naming: nil)
    // AITBC's clients keep a session token; here it is the public id, to be sent as X-Miner-ID.
    answer.append("session_token", .string(record.id.rawValue))
    answer.append("miner_id", .string(record.id.rawValue))
    answer.append("name", .string(record.name))
    return .json(.object(answer))
  }
}

// MARK: - Signs of life

extension RestMinerRoutes {
  private func heartbeat(_ request: Request) async throws -> Response {
    let identity = try market.authenticator.require(.miner, key: request.apiKey)
    let wish = try HeartbeatRequest(try await body(request, isOptional: true))
    return .json(.object(signOfLife(of: try await miner(request, identity), naming: wish.leases)))
  }

  /// Renews what goes on, and says what does not.
  private func signOfLife(of miner: PollingMiner, naming tokens: [String]?) -> JSONObject {
    let (held, cancels) = market.dispatcher.held(by: miner.id)
    let news = miner.answer(leases: held, cancels: cancels)
    let named = tokens.map { Set($0.map(LeaseToken.hash)) }
    let renewed = news.renew.filter { named?.contains($0) ?? true }
    market.dispatcher.renew(hashes: renewed, of: miner.id)
    let live = Set(renewed)
    let jobs = held.filter { live.contains($0.hash) }.map(\.job).sorted()
    func list(_ jobs: [JobID]) -> JSONValue { .array(jobs.map { .string($0.rawValue) }) }
    return JSONObject([
      ("status", "ok"), ("renewed", list(jobs)), ("cancel", list(news.stop)), ("lost", list(news.lost)),
      ("inflight", .integer(Int64(held.count))),
      ("lease_seconds", .integer(market.configuration.restLeaseTerm.whole)),
      ("draining", .bool(market.dispatcher.status(of: miner.id) == .draining)),
    ])
  }
}

// MARK: - Work

extension RestMinerRoutes {
  /// A real long poll: 200 with a job as soon as there is one, else 204 when the time is over.
  private func poll(_ request: Request, _ context: AppContext) async throws -> Response {
    let identity = try market.authenticator.require(.miner, key: request.apiKey)
    let bytes = try await request.bytes(limit: market.configuration.bodyLimit)
    let wish = try PollRequest(try Request.json(bytes, isOptional: true))
    let miner = try await miner(request, identity)
    guard !market.polling.isStopping else {
      throw Problem(503, "stopping", "the coordinator is stopping", retryAfter: 5)
    }
    guard let waiter = miner.addWaiter() else {
      throw Problem(
        429, "too_many_polls", "the miner has \(PollingMiner.pollLimit) polls open, the most there may be",
        retryAfter: 1)
    }
    market.dispatcher.wake()
    let limit = max(wish.wait, Self.shortestWait)
    let hasGone = context.peerHasGone(atOnce: { waiter.resolve(nil) })
    await wait(waiter, of: miner, limit)
    miner.remove(waiter)
    guard let assignment = waiter.assignment else { return Response(status: .noContent) }
    guard !hasGone.isSet else {
      await market.giveBack(assignment)
      return Response(status: .noContent)
    }
    return answer(assignment, to: miner)
  }

  /// A poll that would not wait is given what is there all the same: a claim takes a commit.
  private static let shortestWait = Seconds(milliseconds: 200)

  private func wait(_ waiter: PollWaiter, of miner: PollingMiner, _ limit: Seconds) async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { [clock = market.clock] in
        if (try? await clock.sleep(for: limit)) != nil { miner.timeOut(waiter) }
      }
      // A stopping coordinator waits for its requests: this one must not keep it.
      _ = await withGracefulShutdownHandler {
        await waiter.value()
      } onGracefulShutdown: {
        waiter.resolve(nil)
      }
      group.cancelAll()
    }
  }

  /// Its program counts as started once the answer is out. An answer that can't be sent gives the job back unstarted.
  private func answer(_ assignment: Assignment, to miner: PollingMiner) -> Response {
    let hash = LeaseToken.hash(assignment.lease)
    miner.began(hash, job: assignment.job, timeout: assignment.specification.timeout)
    let body = ByteBuffer(bytes: assignment.restDocument(term: market.configuration.restLeaseTerm).encoded)
    let write: @Sendable (inout any ResponseBodyWriter) async throws -> Void = { writer in
      do {
        try await writer.write(body)
        try await writer.finish(nil)
      } catch {
        await market.giveBack(assignment)
        throw error
      }
      await started(hash, by: miner.id)
    }
    return Response(
      status: .ok, headers: [.contentType: "application/json", .cacheControl: "no-store"],
      body: ResponseBody(contentLength: body.readableBytes, write))
  }

  private func started(_ leaseHash: String, by miner: MinerID) async {
    let operation = StartTry(leaseHash: leaseHash, miner: miner, now: market.clock.now)
    do {
      let job = try await market.store.write { try operation.run(in: $0) }
      market.dispatcher.started(leaseHash, timeout: job.specification.timeout)
      if !job.state.isTerminal, let change = market.progress.begin(job, at: market.clock.now) {
        market.hub.publish(progress: change.message, account: change.account)
      }
    } catch MarketError.staleLease {
      // Its end was faster.
    } catch {
      market.log.error("can't note a start", metadata: ["miner": "\(miner)", "error": "\(error)"])
    }
  }

  /// The report of a try's end, under the lease's token.
  private func end(
    _ request: Request, _ context: AppContext, _ kind: RefusedReport.Kind,
    _ read: (JSONValue, String?) throws -> MinerReport
  ) async throws -> Response {
    let identity = try market.authenticator.require(.miner, key: request.apiKey)
    let bytes = try await request.bytes(limit: market.configuration.bodyLimit)
    let said = try read(try Request.json(bytes), request.headers[.leaseToken])
    let miner = try await miner(request, identity)
    let job = try market.jobID(context)
    guard let lease = market.dispatcher.lease(token: said.report.lease), lease.miner == miner.id, lease.job == job
    else {
      await market.noteRefused(kind, token: said.report.lease, of: miner.id, job: job, said: bytes)
      throw MarketError.staleLease
    }
    switch try await market.end(said.report, lease: lease, usage: said.metrics) {
    case .settled(let job):
      miner.ended(lease.hash)
      let receipt = try await market.store.read { try $0.receipt(of: job) }
      return .json([
        "status": "ok", "job_id": .string(job.id.rawValue), "job_status": .string(job.state.rawValue),
        "receipt": try market.signedReceipt(receipt),
      ])
    case .stale:
      await market.noteRefused(kind, token: said.report.lease, of: miner.id, job: job, said: bytes)
      throw MarketError.staleLease
    case .incomplete(let what, _): throw Problem(409, "incomplete", what, retryAfter: 1)
    }
  }
}

extension Assignment {
  /// The answer to a poll: AITBC's members, the lease, and what programs need besides.
  func restDocument(term: Seconds) -> JSONValue {
    let job = specification
    var payload = job.payload
    // AITBC's miners look for each of them, also where nothing is asked.
    var constraints = job.constraints.json.object ?? JSONObject()
    for name in ["gpu", "cuda", "min_vram_gb", "models", "region", "max_price"] where constraints[name] == nil {
      constraints.append(name, .null)
    }
    if payload["type"] == nil { payload["type"] = .string(job.runner) }
    return [
      "job_id": .string(self.job.rawValue), "payload": .object(payload), "constraints": .object(constraints),
      "lease_token": .string(lease), "lease_seconds": .integer(term.whole), "try": .integer(Int64(tryNumber)),
      "attempt_no": .integer(Int64(attempt)), "timeout_seconds": .integer(job.timeout.whole),
      "command": job.command.isEmpty ? .null : .array(job.command.map(JSONValue.string)),
      "env": .object(JSONObject(job.environment.map { ($0.name, .string($0.value)) })),
      "inputs": .array(job.inputs.map(\.json)),
    ]
  }
}

extension MarketReader {
  /// The tries that a miner holds, with their jobs.
  func held(by miner: MinerID) throws -> [(attempt: TryRecord, job: Job)] {
    try heldTries().filter { $0.miner == miner }.compactMap { attempt in
      try job(attempt.job).map { (attempt, $0) }
    }
  }
}
