public import JSON
public import Marketplace

/// Where a job goes in the queue.
public enum QueueTarget: Hashable, Sendable {
  case before(String)
  case after(String)
  case top
  case bottom
}

extension MarketplaceClient {
  /// The account's pending jobs in the order they are taken: up to `limit` (20), going on at `cursor`.
  public func queue(limit: Int? = nil, cursor: String? = nil) async throws -> JobPage {
    try JobPage(json: try await get(APIPath("queue", query: [("limit", limit.map(String.init)), ("cursor", cursor)])))
  }

  /// Moves a pending job among one's own of the same priority. 409 when it does not wait any more.
  public func move(_ id: String, to target: QueueTarget) async throws -> JobSnapshot {
    let place: (String, JSONValue) =
      switch target {
      case .before(let other): ("before", .string(other))
      case .after(let other): ("after", .string(other))
      case .top: ("top", true)
      case .bottom: ("bottom", true)
      }
    return try job(
      try await post(APIPath("queue", "move"), .object(JSONObject([("job_id", .string(id)), place]))))
  }

  /// Gives a pending job another priority: another place, and another price.
  public func reprioritise(_ id: String, to priority: Priority) async throws -> JobSnapshot {
    let body: JSONValue = ["priority": .string(priority.word)]
    return try job(try await transport.call(APIRequest(.patch, path(id), body: body)).json())
  }

  /// Cancels many jobs; `selection` as `POST /v1/jobs:cancel` takes it. Answers with what became of each.
  public func cancel(many selection: JSONValue) async throws -> JSONValue {
    try await post(APIPath("jobs:cancel"), selection)
  }
}
