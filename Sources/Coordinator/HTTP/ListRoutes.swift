import Clocks
import HTTPTypes
import Hummingbird
import JSON
import Marketplace
import Store
import Wire

/// `GET /v1/jobs` and `GET /v1/jobs/history`: the same list.
struct ListRoutes {
  let market: Market

  /// What selects and orders jobs, here and in the export.
  static let filters: Set<String> = ["status", "label", "q", "days", "from", "to", "sort"]

  func add(to router: Router<AppContext>) {
    router.get("/v1/jobs") { request, _ in try await list(request) }
    router.get("/v1/jobs/history") { request, _ in try await list(request) }
  }

  private func list(_ request: Request) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    let query = try Self.query(request, account: identity.account, now: market.clock.now)
    let page: JobPage
    do {
      page = try await market.store.read { try $0.jobs(query) }
    } catch is InvalidCursor {
      throw Problem.invalid([FieldError("cursor", "is not a cursor of this list")])
    }
    let documents = JSONValue.array(market.documents(page.jobs))
    var headers: HTTPFields = [:]
    if let cursor = page.nextCursor {
      headers[.link] = "<\(Self.next(request, cursor: cursor))>; rel=\"next\""
    }
    return .json(
      [
        "jobs": documents, "items": documents, "total": .integer(Int64(page.total)),
        "has_more": .bool(page.nextCursor != nil), "next_cursor": JSONValue(page.nextCursor),
        "limit": .integer(Int64(query.limit)), "offset": .integer(Int64(query.offset)),
      ], headers: headers)
  }

  static func query(_ request: Request, account: AccountID, now: Timestamp) throws -> JobQuery {
    var reader = try request.query(filters.union(["limit", "cursor", "offset"]), repeatable: ["status", "label"])
    var query = filter(&reader, account: account, now: now)
    query.limit = Int(reader.integer("limit", in: 1...500) ?? 20)
    query.offset = Int(reader.integer("offset", in: 0...10_000_000) ?? 0)
    query.cursor = reader.string("cursor")
    if query.cursor != nil, query.offset > 0 { reader.fail("offset", "can't stand beside cursor") }
    try reader.check()
    return query
  }

  /// Reads ``filters``. What is wrong is noted in the reader.
  static func filter(_ reader: inout QueryReader, account: AccountID, now: Timestamp) -> JobQuery {
    var query = JobQuery(account: account)
    for word in reader.list("status") {
      if let states = JobState.matching(word) {
        query.states.formUnion(states)
      } else {
        reader.fail(
          "status", "\"\(word)\" is not a state; known are " + JobState.filterWords.joined(separator: ", "))
      }
    }
    for label in reader.values["label"] ?? [] {
      let parts = label.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 2, !parts[0].isEmpty else {
        reader.fail("label", "must be name=value")
        continue
      }
      query.labels[parts[0]] = parts[1]
    }
    query.text = reader.string("q")
    if let days = reader.integer("days", in: 1...36_600) { query.from = now - .days(days) }
    if let from = reader.timestamp("from") { query.from = max(from, query.from ?? from) }
    query.until = reader.timestamp("to", endOfDay: true)
    if let from = query.from, let until = query.until, from > until, reader.string("from") != nil {
      reader.fail("from", "is later than to")
    }
    if let sort = reader.string("sort") {
      if let known = JobQuery.Sort(rawValue: sort) {
        query.sort = known
      } else {
        let words = JobQuery.Sort.allCases.map(\.rawValue).joined(separator: ", ")
        reader.fail("sort", "must be one of " + words)
      }
    }
    return query
  }

  /// The address of the next page: this one with another cursor.
  private static func next(_ request: Request, cursor: String) -> String {
    let kept = (request.uri.query ?? "").split(separator: "&")
      .filter { !$0.hasPrefix("cursor=") && !$0.hasPrefix("offset=") }
    return request.uri.path + "?" + (kept + ["cursor=\(cursor)"]).joined(separator: "&")
  }
}
