import Clocks
import HTTPTypes
import Hummingbird
import JSON
import Marketplace
import NIOCore
import Store
import Wire

/// An account's jobs as a whole: figures about them, and all of them as one file.
struct HistoryRoutes {
  let market: Market

  /// Jobs read at once. Each page is a snapshot of its own: a long export holds none, so the store's log stays short.
  private static let page = 500

  func add(to router: Router<AppContext>) {
    router.get("/v1/jobs/stats") { request, _ in try await statistics(request) }
    router.get("/v1/jobs/export") { request, _ in try await export(request) }
  }

  private func statistics(_ request: Request) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    let query = try request.query([])
    try query.check()
    let (counts, totals) = try await market.store.read { store in
      (try store.counts(account: identity.account), try store.totals(account: identity.account))
    }
    let statistics = JobStatistics(counts: counts, runTime: totals.runTime, spent: totals.spent)
    return .json([
      "submitted": .integer(Int64(statistics.submitted)),
      "by_status": .object(
        JSONObject(JobState.allCases.map { ($0.rawValue, .integer(Int64(statistics.count($0)))) })),
      "success_rate": statistics.successRate.map(JSONValue.decimal) ?? .null,
      "average_completion_seconds": statistics.meanRunTime.map(JSONValue.decimal) ?? .null,
      "total_spent": .string(statistics.spent.description),
    ])
  }

  // MARK: Export

  private enum Format: String, CaseIterable { case json, csv }

  private func export(_ request: Request) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    var reader = try request.query(ListRoutes.filters.union(["format"]), repeatable: ["status", "label"])
    var query = ListRoutes.filter(&reader, account: identity.account, now: market.clock.now)
    let format = Format(rawValue: reader.string("format") ?? Format.json.rawValue)
    if format == nil { reader.fail("format", "must be json or csv") }
    try reader.check()
    query.limit = Self.page
    query.countsTotal = false
    let isCSV = format == .csv
    // The first page is read before the answer begins, so that a store that can't answer says so.
    let first = try await market.store.read { [query] in try $0.jobs(query) }
    let headers: HTTPFields = [
      .contentType: isCSV ? "text/csv; charset=utf-8; header=present" : "application/json", .cacheControl: "no-store",
      .contentDisposition: "attachment; filename=\"jobs.\(isCSV ? "csv" : "json")\"",
    ]
    return Response(
      status: .ok, headers: headers,
      body: ResponseBody { [query] writer in
        var text = isCSV ? JobCSV.header : Array("{\"jobs\":[".utf8)
        var page = first
        var count = 0
        while true {
          append(page.jobs, to: &text, isCSV: isCSV, after: count)
          count += page.jobs.count
          guard let cursor = page.nextCursor else { break }
          try await writer.write(ByteBuffer(bytes: text))
          text.removeAll(keepingCapacity: true)
          var next = query
          next.cursor = cursor
          page = try await market.store.read { [next] in try $0.jobs(next) }
        }
        if !isCSV { text += Array("\n],\"total\":\(count)}\n".utf8) }
        try await writer.write(ByteBuffer(bytes: text))
        try await writer.finish(nil)
      })
  }

  private func append(_ jobs: [Job], to text: inout [UInt8], isCSV: Bool, after count: Int) {
    guard !isCSV else {
      let now = market.clock.now
      for job in jobs { JobCSV.append(job, at: now, to: &text) }
      return
    }
    for (index, document) in market.documents(jobs).enumerated() {
      text += Array((count + index == 0 ? "\n" : ",\n").utf8)
      JSONWriter.append(document, to: &text)
    }
  }
}
