public import JSON

extension MarketplaceClient {
  /// A new job like this one, the next attempt in its chain. 409 while the latest attempt has not ended.
  public func rerun(_ id: String, reason: String? = nil, idempotencyKey: String? = nil) async throws -> JobSnapshot {
    let body: JSONValue = reason.map { ["reason": .string($0)] } ?? [:]
    return try job(try await post(path(id, "rerun"), body, idempotencyKey: idempotencyKey))
  }

  /// Attempts of a job's chain, latest first: up to `limit` (500) with numbers below `before`.
  public func attempts(_ id: String, before: Int? = nil, limit: Int? = nil) async throws -> JSONValue {
    try await get(path(id, "attempts", query: Self.page(before, limit)))
  }

  /// What is known of a run key, with its attempts, latest first.
  public func runKey(_ key: String, before: Int? = nil, limit: Int? = nil) async throws -> JSONValue {
    try await get(APIPath("run-keys", key, query: Self.page(before, limit)))
  }

  /// Allows exactly one more run under a strict run key. `ttl` like `2h`; nil: until it is used.
  public func unlock(runKey: String, ttl: String? = nil, reason: String? = nil) async throws -> JSONValue {
    var body = JSONObject()
    if let ttl { body.append("ttl", .string(ttl)) }
    if let reason { body.append("reason", .string(reason)) }
    return try await post(APIPath("run-keys", runKey, "unlock"), .object(body))
  }

  private static func page(_ before: Int?, _ limit: Int?) -> [(String, String?)] {
    [("before", before.map(String.init)), ("limit", limit.map(String.init))]
  }
}
