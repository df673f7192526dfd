import HTTPTypes
import Hummingbird
import JSON
import Marketplace
import Store
import Synchronization
import Wire

/// Health, fleet, account and keys.
struct SystemRoutes {
  let market: Market
  let readiness: Readiness

  func add(to router: Router<AppContext>) {
    router.get("/healthz") { _, _ in Response.json(["status": "ok"]) }
    router.get("/readyz") { _, _ in try await ready() }
    router.get("/v1/health") { _, _ in
      Response.json(["status": "ok", "version": .string(CoordinatorServer.version)])
    }
    router.get("/v1/keys") { _, _ in Response.json(market.signingKeys.published) }
    router.get("/v1/miners") { request, _ in try await miners(request) }
    router.get("/v1/account") { request, _ in try await account(request) }
  }

  /// 200 when requests can be served: started, not stopping, and the store answers.
  private func ready() async throws -> Response {
    guard readiness.isReady else {
      throw Problem(503, "not_ready", "the coordinator is starting or stopping", retryAfter: 1)
    }
    _ = try await market.store.read { try $0.lastSequence() }
    return .json(["status": "ready"])
  }

  /// The fleet: public facts only.
  private func miners(_ request: Request) async throws -> Response {
    guard let key = request.apiKey, market.authenticator.identity(of: key) != nil else {
      _ = try market.authenticator.require(.client, key: request.apiKey)
      throw Problem(401, "invalid_api_key", "invalid api key")
    }
    let records = try await market.store.read { try $0.miners() }
    let members = Dictionary(market.dispatcher.members.map { ($0.record.id, $0) }, uniquingKeysWith: { $1 })
    return .json([
      "miners": .array(
        records.map { record in
          let member = members[record.id]
          return record.document(
            status: member?.status ?? .offline, running: member?.held.count ?? 0,
            lastSeenAt: member?.lastSeenAt ?? record.lastSeenAt)
        })
    ])
  }

  private func account(_ request: Request) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    let (account, pending) = try await market.store.read { store in
      guard let account = try store.account(identity.account) else { throw MarketError.accountNotFound }
      return (account, try store.pendingCount(account: account.id))
    }
    return .json([
      "account_id": .string(account.id.rawValue), "name": .string(account.name), "plan": .string(account.plan.rawValue),
      "retention_days": .integer(account.plan.retention.whole / 86_400),
      "quota": [
        "pending_jobs": .integer(Int64(pending)), "pending_jobs_limit": .integer(Int64(account.plan.pendingJobLimit)),
      ],
    ])
  }
}

/// Whether requests are served: false while starting and stopping.
final class Readiness: Sendable {
  private let flag = Atomic<Bool>(false)
  var isReady: Bool { flag.load(ordering: .acquiring) }
  func set(_ isReady: Bool) { flag.store(isReady, ordering: .releasing) }
}

extension MinerRecord {
  func document(status: MinerStatus, running: Int, lastSeenAt: Timestamp) -> JSONValue {
    var object = JSONObject([
      ("miner_id", .string(id.rawValue)), ("name", .string(name)), ("status", .string(status.rawValue)),
      ("slots", .integer(Int64(offer.slots))), ("running", .integer(Int64(running))),
      (
        "gpus",
        .array(offer.gpus.map { ["name": .string($0.name), "memory_mb": .integer(Int64($0.memoryMiB))] })
      ),
      ("runners", .array(offer.runners.map(JSONValue.string))), ("labels", .object(offer.labels.sortedJSON)),
      ("region", JSONValue(offer.region)), ("price", .string(offer.effectivePrice.description)),
      ("version", .string(version)), ("public_key", JSONValue(publicKey)),
    ])
    object.append(time: lastSeenAt, as: "last_heartbeat_at")
    return .object(object)
  }
}
