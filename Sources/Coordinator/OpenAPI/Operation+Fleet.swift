extension Operation {
  static let miners: [Operation] = [
    Operation(
      "GET", "/v1/miners", "Miners", "The fleet: public facts", key: .any, [.json("Miners", "All that are known.")]),
    Operation(
      "GET", "/v1/miners/{id}/earnings", "Miners", "What a miner of one's own has earned", key: .miner,
      [.json("Earnings", "All fees off.")], problems: [404]),
    socket("/v1/miners/ws", "The miner channel", key: .miner),
  ]

  private static let who: [Parameter] = [
    .header("X-Miner-ID", "the miner's id or name; else the key's own"),
    .query("miner_id", .string, "the same"),
  ]
  private static let lease = Parameter.header("X-Lease-Token", "the token of the poll's answer")

  /// As AITBC's miners speak.
  static let restMiners: [Operation] = [
    Operation(
      "POST", "/v1/miners/register", "Miners over REST", "Register or update a miner", key: .miner, with: who,
      body: "Registration", isBodyNeeded: false, [.json("Registered", "It is known.")], problems: [404]),
    Operation(
      "POST", "/v1/miners/heartbeat", "Miners over REST", "Renew its leases", key: .miner, with: who, body: "Heartbeat",
      isBodyNeeded: false, [.json("SignOfLife", "What goes on and what does not.")], problems: [404]),
    Operation(
      "POST", "/v1/miners/poll", "Miners over REST", "Wait for a job", key: .miner, with: who, body: "Poll",
      isBodyNeeded: false, [.json("Assignment", "A job."), .empty(204, "None came in time.")], problems: [404]),
    Operation(
      "POST", "/v1/miners/{id}/result", "Miners over REST", "A job was done", key: .miner, with: who + [lease],
      body: "MinerResult", [.json("Settled", "It is durable.")], problems: [404, 409]),
    Operation(
      "POST", "/v1/miners/{id}/fail", "Miners over REST", "A job failed; it is never paid", key: .miner,
      with: who + [lease],
      body: "MinerFailure", [.json("Settled", "It is durable.")], problems: [404, 409]),
  ]

  static let administration: [Operation] = [
    Operation("GET", "/v1/admin/plans", "Administration", "The plans", key: .admin, [.json("Plans", "All there are.")]),
    Operation(
      "GET", "/v1/admin/accounts", "Administration", "Accounts", key: .admin, with: [.limit, .cursor],
      [.json("Accounts", "Oldest first.")], problems: [422]),
    Operation(
      "POST", "/v1/admin/accounts", "Administration", "Make an account", key: .admin, with: [.idempotencyKey],
      body: "NewAccount",
      [.json("Account", "It is made.", status: 201)], problems: [409]),
    Operation(
      "GET", "/v1/admin/accounts/{account}", "Administration", "One account, by id or name", key: .admin,
      [.json("AccountFigures", "With what it uses and spent.")], problems: [404]),
    Operation(
      "PATCH", "/v1/admin/accounts/{account}", "Administration", "Another plan", key: .admin, body: "PlanChange",
      [.json("Account", "It is changed.")], problems: [404]),
    Operation(
      "GET", "/v1/admin/keys", "Administration", "API keys, without the keys", key: .admin,
      with: [.query("account", .string, "only this account's, by id or name")], [.json("APIKeys", "Revoked ones too.")],
      problems: [404, 422]),
    Operation(
      "POST", "/v1/admin/keys", "Administration", "Make an API key", key: .admin, body: "NewKey",
      [.json("CreatedKey", "The only answer that holds it.", status: 201)]),
    Operation(
      "DELETE", "/v1/admin/keys/{key}", "Administration", "Revoke an API key, by its id", key: .admin,
      [.json("APIKey", "It opens nothing more.")], problems: [404, 409]),
    Operation(
      "GET", "/v1/admin/miners", "Administration", "The fleet, with the operator's facts", key: .admin,
      [.json("FleetMembers", "All that are known.")]),
    Operation(
      "POST", "/v1/admin/miners/{id}/drain", "Administration", "Give a miner nothing new", key: .admin,
      [.json("FleetMember", "It finishes what it has.")], problems: [404]),
    Operation(
      "POST", "/v1/admin/miners/{id}/undrain", "Administration", "Give it work again", key: .admin,
      [.json("FleetMember", "It may get work.")], problems: [404]),
    Operation(
      "DELETE", "/v1/admin/miners/{id}", "Administration", "Remove a miner", key: .admin,
      with: [.query("force", .boolean, "take its jobs away first"), .idempotencyKey],
      [.json("MinerRemoved", "It is forgotten.")],
      problems: [404, 409, 422]),
    Operation(
      "GET", "/v1/admin/stats", "Administration", "The market's figures", key: .admin,
      [.json("MarketStatistics", "As it stands now.")]),
    Operation(
      "GET", "/v1/admin/ledger", "Administration", "Add the whole ledger up", key: .admin,
      [.json("LedgerReport", "Whether it sums to zero.")]),
  ]

  static let system: [Operation] = [
    Operation("GET", "/healthz", "System", "The process answers", key: .none, [.json("Health", "It does.")]),
    Operation(
      "GET", "/readyz", "System", "Whether requests are served", key: .none, [.json("Readiness", "They are.")],
      problems: [503]),
    Operation(
      "GET", "/v1/health", "System", "How it is doing", key: .none, [.json("CoordinatorHealth", "The disk above all.")]),
    Operation(
      "GET", "/metrics", "System", "Metrics for Prometheus", key: .none,
      [.bytes("text/plain; version=0.0.4; charset=utf-8", "Its text format.")]),
    Operation(
      "GET", "/openapi.json", "System", "This document", key: .none,
      [Answer(status: 200, note: "OpenAPI 3.1.", type: "application/json", schema: .object)]),
    Operation(
      "GET", "/v1/keys", "System", "Public keys that signatures are verified with", key: .none,
      [.json("SigningKeys", "Retired ones too.")]),
    Operation(
      "GET", "/v1/account", "System", "The key's own account", key: .any,
      [.json("OwnAccount", "Plan, quota and spend; for a miner's key what its miners earned.")]),
  ]
}
