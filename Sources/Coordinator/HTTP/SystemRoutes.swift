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
    router.get("/openapi.json") { _, _ in
      Response.raw(OpenAPIDocument.bytes, type: "application/json", headers: [.cacheControl: "no-cache"])
    }
    router.get("/v1/health") { _, _ in try await health() }
    router.get("/v1/keys") { _, _ in Response.json(market.signingKeys.published) }
    router.get("/v1/miners") { request, _ in try await miners(request) }
    router.get("/v1/account") { request, _ in try await account(request) }
    router.get("/v1/miners/:id/earnings") { request, context in try await earnings(request, context) }
  }

  /// 200 when requests can be served: started, not stopping, and the store answers.
  private func ready() async throws -> Response {
    guard readiness.isReady else {
      throw Problem(503, "not_ready", "the coordinator is starting or stopping", retryAfter: 1)
    }
    _ = try await market.store.read { try $0.lastSequence() }
    return .json(["status": "ready"])
  }

  /// How it is doing, beyond being there: the disk.
  private func health() async throws -> Response {
    let disk = try await market.diskState()
    return .json([
      "status": disk.takesNewWork ? "ok" : "degraded", "version": .string(CoordinatorServer.version), "disk": disk.json,
    ])
  }

  /// The fleet: public facts only.
  private func miners(_ request: Request) async throws -> Response {
    _ = try market.authenticator.require(key: request.apiKey)
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

  /// Plan, quota and spend; for a miner's key, what the account's miners earned.
  private func account(_ request: Request) async throws -> Response {
    let identity = try market.authenticator.require(key: request.apiKey)
    let document = try await market.store.read { store -> JSONValue in
      guard let account = try store.account(identity.account) else { throw MarketError.accountNotFound }
      guard identity.role == .miner else { return try AccountDocument(account, in: store).json }
      var object = account.document.object ?? JSONObject()
      let own = try store.miners().filter { $0.account == account.id }
      object.append("earnings", .array(try own.map { try store.earnings(of: $0) }))
      return .object(object)
    }
    return .json(document)
  }

  private func earnings(_ request: Request, _ context: AppContext) async throws -> Response {
    let identity = try market.authenticator.require(key: request.apiKey)
    guard identity.role != .client else { throw Problem(403, "wrong_role", "this needs a miner key") }
    guard let id = context.parameters.get("id").flatMap({ MinerID($0) }) else { throw MarketError.minerNotFound }
    let document = try await market.store.read { store in
      guard let miner = try store.miner(id), miner.account == identity.account || identity.role == .admin else {
        throw MarketError.minerNotFound
      }
      return try store.earnings(of: miner)
    }
    return .json(document)
  }
}

/// Whether requests are served: false while starting and stopping.
final class Readiness: Sendable {
  private let flag = Atomic<Bool>(false)
  var isReady: Bool { flag.load(ordering: .acquiring) }
  func set(_ isReady: Bool) { flag.store(isReady, ordering: .releasing) }
}

extension MarketReader {
  /// What a miner has been credited with, all fees off.
  func earnings(of miner: MinerRecord) throws -> JSONValue {
    let balance = try balance(of: miner.id.rawValue)
    return [
      "miner_id": .string(miner.id.rawValue), "name": .string(miner.name),
      "earned": .string(balance.amount.description), "paid_jobs": .integer(Int64(balance.lines)),
    ]
  }
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
