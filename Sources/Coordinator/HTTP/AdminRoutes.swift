import Clocks
import Cryptography
import HTTPTypes
import Hummingbird
import JSON
import Logging
import Marketplace
import Store
import Wire

/// `/v1/admin`: accounts, plans and keys. Role `admin`.
struct AdminRoutes {
  let market: Market

  /// Accounts in one answer.
  private static let pageLimit: Int64 = 500

  func add(to router: Router<AppContext>) {
    router.get("/v1/admin/plans") { request, _ in try plans(request) }
    router.post("/v1/admin/accounts") { request, _ in try await createAccount(request) }
    router.get("/v1/admin/accounts") { request, _ in try await accounts(request) }
    router.get("/v1/admin/accounts/:account") { request, context in try await account(request, context) }
    router.patch("/v1/admin/accounts/:account") { request, context in try await changePlan(request, context) }
    router.post("/v1/admin/keys") { request, _ in try await createKey(request) }
    router.get("/v1/admin/keys") { request, _ in try await keys(request) }
    router.delete("/v1/admin/keys/:key") { request, context in try await revokeKey(request, context) }
  }

  private func admin(_ request: Request) throws(Problem) -> Identity {
    try market.authenticator.require(.admin, key: request.apiKey)
  }

  private func body(_ request: Request) async throws -> JSONValue {
    try Request.json(try await request.bytes(limit: market.configuration.bodyLimit))
  }
}

// MARK: - Accounts

extension AdminRoutes {
  private func plans(_ request: Request) throws -> Response {
    _ = try admin(request)
    return .json([
      "plans": .array(
        Plan.allCases.map { plan in
          [
            "plan": .string(plan.rawValue), "retention_days": .integer(plan.retention.whole / 86_400),
            "weight": .integer(plan.weight), "active_jobs_limit": .integer(Int64(plan.activeJobLimit)),
            "storage_bytes_limit": .integer(plan.storageLimit),
          ]
        })
    ])
  }

  private func createAccount(_ request: Request) async throws -> Response {
    let identity = try admin(request)
    let bytes = try await request.bytes(limit: market.configuration.bodyLimit)
    let (name, plan) = try AccountRequest.creation(try Request.json(bytes))
    let operation = AccountCreation(
      name: name, plan: plan, newID: market.newID(AccountKind.self), now: market.clock.now)
    let idempotency = try request.idempotency(bytes)
    let answer = try await market.store.write { store in
      try store.answer(idempotency, of: identity.account, at: operation.now) {
        (201, try operation.run(in: store).document)
      }
    }
    if !answer.isReplay {
      market.log.notice("account made", metadata: ["account": "\(operation.newID)", "plan": "\(plan.rawValue)"])
    }
    return .answer(answer)
  }

  /// Sorted by id, which is by age; `cursor` is the last id of the page before.
  private func accounts(_ request: Request) async throws -> Response {
    _ = try admin(request)
    var query = try request.query(["limit", "cursor"])
    let limit = Int(query.integer("limit", in: 1...Self.pageLimit) ?? 100)
    let cursor = query.string("cursor")
    try query.check()
    let rest = try await market.store.read { try $0.accounts() }.filter { $0.id.rawValue > cursor ?? "" }
    let page = rest.prefix(limit)
    return .json([
      "accounts": .array(page.map(\.document)), "has_more": .bool(rest.count > page.count),
      "next_cursor": JSONValue(rest.count > page.count ? page.last?.id.rawValue : nil),
    ])
  }

  private func account(_ request: Request, _ context: AppContext) async throws -> Response {
    _ = try admin(request)
    let reference = context.parameters.get("account") ?? ""
    let document = try await market.store.read { store in
      guard let account = try store.account(reference: reference) else { throw MarketError.accountNotFound }
      return try AccountDocument(account, in: store).json
    }
    return .json(document)
  }

  private func changePlan(_ request: Request, _ context: AppContext) async throws -> Response {
    _ = try admin(request)
    let plan = try AccountRequest.change(try await body(request))
    let reference = context.parameters.get("account") ?? ""
    let now = market.clock.now
    let (former, account) = try await market.store.write { store in
      guard let account = try store.account(reference: reference) else { throw MarketError.accountNotFound }
      return (account.plan, try PlanChange(account: account.id, plan: plan, now: now).run(in: store))
    }
    market.log.notice(
      "plan changed",
      metadata: [
        "account": "\(account.id)", "from": "\(former.rawValue)", "to": "\(plan.rawValue)",
      ])
    return .json(account.document)
  }
}

// MARK: - Keys

extension AdminRoutes {
  /// The only answer that ever holds a key.
  private func createKey(_ request: Request) async throws -> Response {
    _ = try admin(request)
    let wish = try KeyRequest(try await body(request), roles: Role.allCases.map(\.rawValue))
    guard let role = Role(rawValue: wish.role) else { throw Problem.invalid([FieldError("/role", "is unknown")]) }
    let secret = secureToken(prefix: "ak_")
    let now = market.clock.now
    let record = try await market.store.write { store in
      guard let account = try store.account(reference: wish.account) else {
        throw Problem.invalid([FieldError("/account", "there is no such account")])
      }
      return try KeyCreation(secret: secret, account: account.id, role: role, name: wish.name, now: now)
        .run(in: store)
    }
    market.authenticator.update(record)
    market.log.notice(
      "key made", metadata: ["key": "\(record.id)", "account": "\(record.account)", "role": "\(role.rawValue)"])
    guard var object = record.document.object else { throw StoreError.failed("a key has no document") }
    object.append("api_key", .string(secret))
    return .json(.object(object), status: .created, headers: [.cacheControl: "no-store"])
  }

  private func keys(_ request: Request) async throws -> Response {
    _ = try admin(request)
    let query = try request.query(["account"])
    let reference = query.string("account")
    let keys = try await market.store.read { store -> [APIKeyRecord] in
      guard let reference else { return try store.apiKeys() }
      guard let account = try store.account(reference: reference) else { throw MarketError.accountNotFound }
      return try store.apiKeys().filter { $0.account == account.id }
    }
    return .json(["keys": .array(keys.map(\.document))])
  }

  /// At once for requests that come; feeds and miner channels that the key opened are closed.
  private func revokeKey(_ request: Request, _ context: AppContext) async throws -> Response {
    _ = try admin(request)
    let operation = KeyRevocation(id: context.parameters.get("key") ?? "", now: market.clock.now)
    let record = try await market.store.write { try operation.run(in: $0) }
    market.authenticator.update(record)
    market.hub.revoke(keyHash: record.hash)
    market.dispatcher.revoke(keyHash: record.hash)
    market.log.notice("key revoked", metadata: ["key": "\(record.id)", "account": "\(record.account)"])
    return .json(record.document)
  }
}

// MARK: - Documents

extension Account {
  /// What is public of an account to itself and to the administrator.
  var document: JSONValue {
    var object = JSONObject([
      ("account_id", .string(id.rawValue)), ("name", .string(name)), ("plan", .string(plan.rawValue)),
      ("retention_days", .integer(plan.retention.whole / 86_400)),
    ])
    object.append(time: createdAt, as: "created_at")
    return .object(object)
  }
}

/// An account with what it uses and what it has spent.
struct AccountDocument {
  let json: JSONValue

  init(_ account: Account, in store: any MarketReader) throws {
    let pending = try store.pendingCount(account: account.id)
    let active = try store.activeCount(account: account.id)
    let totals = try store.totals(account: account.id)
    let balance = try store.balance(of: account.id.rawValue)
    var object = account.document.object ?? JSONObject()
    object.append(
      "quota",
      [
        "pending_jobs": .integer(Int64(pending)), "active_jobs": .integer(Int64(active)),
        "active_jobs_limit": .integer(Int64(account.plan.activeJobLimit)), "storage_bytes": .integer(totals.stored),
        "storage_bytes_limit": .integer(account.plan.storageLimit),
      ])
    object.append(
      "spend",
      [
        "total": .string((-balance.amount).description), "charged_jobs": .integer(Int64(balance.lines)),
        "balance": .string(balance.amount.description),
      ])
    json = .object(object)
  }
}

extension APIKeyRecord {
  /// Never the key: nobody knows it any more.
  var document: JSONValue {
    var object = JSONObject([
      ("key_id", .string(id)), ("account_id", .string(account.rawValue)), ("role", .string(role.rawValue)),
      ("name", JSONValue(name)),
    ])
    object.append(time: createdAt, as: "created_at")
    object.append(time: revokedAt, as: "revoked_at")
    return .object(object)
  }
}
