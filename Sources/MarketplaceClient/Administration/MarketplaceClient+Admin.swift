public import JSON

/// Calls of the role `admin`. An account is named by its id or its name.
extension MarketplaceClient {
  public func createAccount(name: String, plan: String? = nil) async throws -> JSONValue {
    var body = JSONObject([("name", .string(name))])
    if let plan { body.append("plan", .string(plan)) }
    return try await post(APIPath("admin", "accounts"), .object(body))
  }

  /// One page, oldest first.
  public func accounts(limit: Int? = nil, cursor: String? = nil) async throws -> JSONValue {
    try await get(APIPath("admin", "accounts", query: [("limit", limit.map(String.init)), ("cursor", cursor)]))
  }

  /// With quota and spend.
  public func account(_ reference: String) async throws -> JSONValue {
    try await get(APIPath("admin", "accounts", reference))
  }

  public func setPlan(_ plan: String, of account: String) async throws -> JSONValue {
    try await transport.call(
      APIRequest(.patch, APIPath("admin", "accounts", account), body: ["plan": .string(plan)])
    ).json()
  }

  /// The answer's `api_key` is shown this once. Not retried when the answer is lost: a second key would be made that
  /// nobody knows of.
  public func createKey(account: String, role: String, name: String? = nil) async throws -> JSONValue {
    var body = JSONObject([("account", .string(account)), ("role", .string(role))])
    if let name { body.append("name", .string(name)) }
    let answer = try await transport.open(APIRequest(.post, APIPath("admin", "keys"), body: .object(body)))
    guard answer.status < 300 else { throw await transport.error(of: answer) }
    return try APIAnswer(
      status: answer.status, headers: answer.headers,
      body: try await answer.body.bytes(upTo: configuration.maximumAnswerBytes)
    ).json()
  }

  /// Ids, roles and times; never keys.
  public func keys(account: String? = nil) async throws -> JSONValue {
    try await get(APIPath("admin", "keys", query: [("account", account)]))
  }

  public func revokeKey(_ id: String) async throws -> JSONValue {
    try await transport.call(APIRequest(.delete, APIPath("admin", "keys", id))).json()
  }
}

extension MarketplaceClient {
  /// The fleet with the operator's facts.
  public func fleet() async throws -> JSONValue { try await get(APIPath("admin", "miners")) }

  /// Drained miners finish what they have and get nothing new.
  public func setDraining(_ isDraining: Bool, miner: String) async throws -> JSONValue {
    try await post(APIPath("admin", "miners", miner, isDraining ? "drain" : "undrain"))
  }

  /// 409 while it holds jobs, unless forced: then they are lost there and run elsewhere.
  public func removeMiner(_ id: String, force: Bool = false) async throws -> JSONValue {
    let path = APIPath("admin", "miners", id, query: [("force", force ? "1" : nil)])
    return try await transport.call(APIRequest(.delete, path)).json()
  }

  /// Jobs by state, miners by status, fees.
  public func marketStatistics() async throws -> JSONValue { try await get(APIPath("admin", "stats")) }

  /// Adds up the whole ledger.
  public func checkLedger() async throws -> JSONValue { try await get(APIPath("admin", "ledger")) }
}

/// Calls of the role `miner`.
extension MarketplaceClient {
  /// What a miner of one's own has earned.
  public func earnings(miner: String) async throws -> JSONValue { try await get(APIPath("miners", miner, "earnings")) }
}
