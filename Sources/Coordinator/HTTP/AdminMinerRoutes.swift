import Clocks
import HTTPTypes
import Hummingbird
import JSON
import Logging
import Marketplace
import Store
import Wire

/// `/v1/admin`: the fleet, the market's figures, the ledger. Role `admin`.
struct AdminMinerRoutes {
  let market: Market

  func add(to router: Router<AppContext>) {
    router.get("/v1/admin/miners") { request, _ in try await miners(request) }
    router.post("/v1/admin/miners/:id/drain") { request, context in try await drain(request, context, true) }
    router.post("/v1/admin/miners/:id/undrain") { request, context in try await drain(request, context, false) }
    router.delete("/v1/admin/miners/:id") { request, context in try await remove(request, context) }
    router.get("/v1/admin/stats") { request, _ in try await statistics(request) }
    router.get("/v1/admin/ledger") { request, _ in try await ledger(request) }
  }

  private func admin(_ request: Request) throws(Problem) {
    _ = try market.authenticator.require(.admin, key: request.apiKey)
  }

  private func minerID(_ context: AppContext) throws -> MinerID {
    guard let id = context.parameters.get("id").flatMap({ MinerID($0) }) else { throw MarketError.minerNotFound }
    return id
  }

  /// The public facts and the operator's: account, tries held, drained, earned.
  private func miners(_ request: Request) async throws -> Response {
    try admin(request)
    let (records, held, earned) = try await market.store.read { store in
      let records = try store.miners()
      let held = Dictionary(grouping: try store.heldTries(), by: \.miner).mapValues(\.count)
      let earned = try records.map { try store.balance(of: $0.id.rawValue).amount }
      return (records, held, earned)
    }
    let members = Dictionary(market.dispatcher.members.map { ($0.record.id, $0) }, uniquingKeysWith: { $1 })
    let documents = zip(records, earned).map { record, earned -> JSONValue in
      document(record, members[record.id], held: held[record.id] ?? 0, earned: earned)
    }
    return .json(["miners": .array(documents)])
  }

  private func document(_ record: MinerRecord, _ member: Fleet.Member?, held: Int, earned: Money) -> JSONValue {
    let facts = record.document(
      status: member?.status ?? .offline, running: held, lastSeenAt: member?.lastSeenAt ?? record.lastSeenAt)
    var object = facts.object ?? JSONObject()
    object.append("account_id", .string(record.account.rawValue))
    object.append("protocol", record.isPolling ? "rest" : "channel")
    object.append("draining", .bool(record.isDraining))
    object.append("held", .integer(Int64(held)))
    object.append("earned", .string(earned.description))
    object.append(time: record.registeredAt, as: "registered_at")
    return .object(object)
  }

  /// Drained: it finishes what it has, and gets nothing new, also after a restart of either side.
  private func drain(_ request: Request, _ context: AppContext, _ isDraining: Bool) async throws -> Response {
    try admin(request)
    let id = try minerID(context)
    let (record, held, earned) = try await market.store.write { store in
      guard var record = try store.miner(id) else { throw MarketError.minerNotFound }
      record.isDraining = isDraining
      try store.save(record)
      return (
        record, try store.heldTries().count { $0.miner == id }, try store.balance(of: id.rawValue).amount
      )
    }
    market.dispatcher.setDraining(id, isDraining)
    market.log.notice(isDraining ? "miner drained" : "miner takes work again", metadata: ["miner": "\(id)"])
    let member = market.dispatcher.members.first { $0.record.id == id }
    return .json(document(record, member, held: held, earned: earned))
  }

  /// Refused with 409 while it holds leases, unless `force=1`: then they are lost, and the jobs go elsewhere.
  private func remove(_ request: Request, _ context: AppContext) async throws -> Response {
    let identity = try market.authenticator.require(.admin, key: request.apiKey)
    let id = try minerID(context)
    var query = try request.query(["force"])
    let isForced = query.flag("force")
    try query.check()
    return .answer(
      try await market.repeatable(try request.idempotency([]), of: identity.account) {
        try await remove(id, isForced: isForced)
      })
  }

  private func remove(_ id: MinerID, isForced: Bool) async throws -> JSONValue {
    let held = isForced ? try await market.takeAway(from: id) : 0
    try await market.store.write { try MinerRemoval(miner: id).run(in: $0) }
    market.polling.remove(id)
    market.dispatcher.remove(id)
    market.log.notice("miner removed", metadata: ["miner": "\(id)", "jobs taken away": "\(held)"])
    return ["miner_id": .string(id.rawValue), "removed": true, "jobs_taken_away": .integer(Int64(held))]
  }

  private func statistics(_ request: Request) async throws -> Response {
    try admin(request)
    let (jobs, accounts, records, fees) = try await market.store.read { store in
      (
        try store.counts(), try store.accounts().count, try store.miners(),
        try store.balance(of: LedgerLine.market).amount
      )
    }
    let states = JobState.allCases.filter { $0 != .skipped }
    var statuses = Dictionary(grouping: market.dispatcher.members, by: { $0.status.rawValue }).mapValues(\.count)
    statuses["offline"] = records.count - statuses.values.reduce(0, +)
    let miners = ["online", "busy", "draining", "offline"].map { ($0, JSONValue(statuses[$0] ?? 0)) }
    return .json([
      "jobs": .object(JSONObject(states.map { ($0.rawValue, JSONValue(jobs[$0] ?? 0)) })),
      "accounts": .integer(Int64(accounts)), "miners": .object(JSONObject(miners)),
      "fees": .string(fees.description), "fee_percent": .string(market.configuration.fee.description),
    ])
  }

  /// Adds the whole ledger up now.
  private func ledger(_ request: Request) async throws -> Response {
    try admin(request)
    let report = try await market.store.read { try $0.checkLedger() }
    return .json([
      "balanced": .bool(report.isBalanced), "lines": .integer(Int64(report.lines)),
      "sum": .string(report.sum.description), "charged": .string(report.charged.description),
      "faults": .array(
        report.faults.map {
          ["job_id": .string($0.job), "kind": .string($0.kind), "sum": .string($0.sum.description)]
        }), "wrong_balances": .array(report.wrongBalances.map(JSONValue.string)),
    ])
  }
}

extension Market {
  /// Ends every try that a miner holds as lost; it gets no other meanwhile. Returns how many.
  fileprivate func takeAway(from id: MinerID) async throws -> Int {
    let held = try await store.write { store in
      guard var record = try store.miner(id) else { throw MarketError.minerNotFound }
      record.isDraining = true
      try store.save(record)
      return try store.heldTries().filter { $0.miner == id }
    }
    dispatcher.setDraining(id, true)
    for attempt in held {
      try await lose(
        LeaseTable.Lease(ending: attempt, at: clock.monotonic), reason: "its miner was removed by the administrator")
    }
    return held.count
  }
}
