import ArgumentParser
import Clocks
import JSON
import Marketplace
import MarketplaceClient

struct ListCommand: ClientVerb {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List jobs, newest first.",
    discussion: "Example: aitbc client list --status failed --days 7")

  @OptionGroup var globals: GlobalOptions
  @OptionGroup var format: FormatOptions
  @OptionGroup var timeout: TimeoutOptions

  @OptionGroup var filters: FilterOptions

  @Option(help: "How many, 1 to 500. Default 20.")
  var limit: Int?

  @Flag(help: "All that match, page after page.")
  var all = false

  @Option(help: "Go on where an earlier list ended (next_cursor).")
  var cursor: String?

  var callTimeout: TimeSpan? { timeout.timeout }

  func validate() throws {
    if let limit, !(1...500).contains(limit) { throw ValidationError("--limit must be between 1 and 500.") }
  }

  private var filter: JobFilter {
    var filter = filters.filter
    filter.limit = limit ?? (all ? 500 : nil)
    filter.cursor = cursor
    return filter
  }

  func run(_ session: ClientSession) async throws {
    let format = try session.format(format.output)
    var filter = filter
    var page = try await session.client.jobs(filter)
    guard all else { return try write(page, format, session) }
    // Lines go out page by page; the other forms are one document.
    var jobs = page.jobs
    var isFirst = true
    while true {
      if format == .jsonl || format == .id {
        try writeLines(page.jobs, format, session)
      } else if !isFirst {
        jobs += page.jobs
      }
      isFirst = false
      guard let next = page.nextCursor, next != filter.cursor else { break }
      filter.cursor = next
      page = try await session.client.jobs(filter)
    }
    guard format != .jsonl, format != .id else { return }
    let document: JSONValue = [
      "jobs": .array(jobs.map(\.json)), "total": .integer(Int64(jobs.count)), "has_more": false, "next_cursor": .null,
    ]
    try write(document, jobs, format, session)
  }

  private func write(_ page: JobPage, _ format: OutputFormat, _ session: ClientSession) throws {
    if format == .jsonl || format == .id {
      try writeLines(page.jobs, format, session)
    } else {
      try write(page.json, page.jobs, format, session)
    }
    if page.nextCursor != nil, format == .table {
      let total = page.total.map { " of \($0)" } ?? ""
      try session.remark("\(page.jobs.count)\(total) shown; --all for all of them")
    }
  }

  private func writeLines(_ jobs: [JobSnapshot], _ format: OutputFormat, _ session: ClientSession) throws {
    for job in jobs { try session.output.line(format == .id ? job.id : job.json.text) }
  }

  private func write(_ document: JSONValue, _ jobs: [JobSnapshot], _ format: OutputFormat, _ session: ClientSession)
    throws
  {
    switch format {
    case .json: try session.output.line(document.pretty)
    case .yaml: try session.output.text(YAMLWriter.text(document))
    default:
      let width = session.context.width()
      for line in JobOutput.table(jobs, session.style(), width: width, now: session.context.clock.now) {
        try session.output.line(line)
      }
    }
  }
}
