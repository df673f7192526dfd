import ArgumentParser
import JSON
import Marketplace
import MarketplaceClient

struct QueueCommand: ClientVerb {
  static let configuration = CommandConfiguration(
    commandName: "queue", abstract: "List your waiting jobs in the order they are taken.",
    discussion: "POSITION counts the jobs of everybody that ask for the same things. Change the order with: move.")

  @OptionGroup var globals: GlobalOptions
  @OptionGroup var format: FormatOptions
  @OptionGroup var timeout: TimeoutOptions

  @Option(help: "How many, 1 to 500. Default 20.") var limit: Int?

  @Flag(help: "All of them, page after page.") var all = false

  @Option(help: "Go on where an earlier list ended (next_cursor).") var cursor: String?

  var callTimeout: TimeSpan? { timeout.timeout }

  func validate() throws {
    if let limit, !(1...500).contains(limit) { throw ValidationError("--limit must be between 1 and 500.") }
  }

  func run(_ session: ClientSession) async throws {
    let format = try session.format(format.output)
    let page = try await session.client.queue(limit: limit ?? (all ? 500 : nil), cursor: cursor)
    var (jobs, next, document) = (page.jobs, page.nextCursor, page.json)
    while all, let cursor = next {
      let more = try await session.client.queue(limit: limit ?? 500, cursor: cursor)
      jobs += more.jobs
      next = more.nextCursor == cursor ? nil : more.nextCursor
      document = [
        "jobs": .array(jobs.map(\.json)), "total": JSONValue(more.total), "has_more": .bool(next != nil),
        "next_cursor": JSONValue(next),
      ]
    }
    switch format {
    case .json: try session.output.line(document.pretty)
    case .yaml: try session.output.text(YAMLWriter.text(document))
    case .jsonl: for job in jobs { try session.output.line(job.json.text) }
    case .id: for job in jobs { try session.output.line(job.id) }
    case .table:
      for line in Self.table(jobs, session) { try session.output.line(line) }
      if next != nil { try session.remark("\(jobs.count) of \(page.total ?? 0) shown; --all for all of them") }
    }
  }

  private static func table(_ jobs: [JobSnapshot], _ session: ClientSession) -> [String] {
    var table = TextTable("POSITION", "JOB", "PRIORITY", "START", "WAITS", "NAME")
    for job in jobs {
      let position = job.queuePosition.map { "\($0)" + (job.isQueuePositionMinimum ? "+" : "") } ?? "-"
      table.add(
        position, job.id, job.priorityWord ?? "-", job.estimatedStart.map { String($0.description.prefix(19)) } ?? "-",
        job.json["pending_reason"]?["code"]?.string ?? "-", job.name ?? JobOutput.title(of: job))
    }
    return table.lines(width: session.context.width(), dispensable: [3, 2, 4])
  }
}
