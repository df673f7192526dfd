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

  @Option(
    help: ArgumentHelp(
      "Only these states: pending, running, failed, active, finished, … May be repeated.", valueName: "state"))
  var status: [StatusWord] = []

  @Option(help: ArgumentHelp("Only jobs created in the last so many days.", valueName: "count"))
  var days: Int?

  @Option(help: ArgumentHelp("Only jobs created from this day or time on.", valueName: "date"))
  var from: String?

  @Option(help: ArgumentHelp("Only jobs created until the end of this day, or until this time.", valueName: "date"))
  var to: String?

  @Option(help: ArgumentHelp("Only jobs with this label. May be repeated.", valueName: "name=value"))
  var label: [NameValue] = []

  @Option(help: ArgumentHelp("Only jobs in which this text stands.", valueName: "text"))
  var search: String?

  @Option(help: "created_at or completed_at; with - before it, latest first.")
  var sort: String?

  @Option(help: "How many, 1 to 500. Default 20.")
  var limit: Int?

  @Flag(help: "All that match, page after page.")
  var all = false

  @Option(help: "Go on where an earlier list ended (next_cursor).")
  var cursor: String?

  var callTimeout: TimeSpan? { timeout.timeout }

  func validate() throws {
    if let days, !(1...36_600).contains(days) { throw ValidationError("--days must be between 1 and 36600.") }
    if let limit, !(1...500).contains(limit) { throw ValidationError("--limit must be between 1 and 500.") }
    let first = try Self.moment(from, "--from")
    let last = try Self.moment(to, "--to")
    if let first, let last, first > last { throw ValidationError("--from is later than --to.") }
  }

  private static func moment(_ text: String?, _ option: String) throws -> Timestamp? {
    guard let text else { return nil }
    guard let time = Timestamp(date: text) ?? Timestamp(rfc3339: text) else {
      throw ValidationError("\(option) must be a date like 2026-01-31 or a time like 2026-01-31T12:00:00Z.")
    }
    return time
  }

  private var filter: JobFilter {
    var filter = JobFilter()
    filter.statuses = status.map(\.word)
    filter.labels = label.map { "\($0.name)=\($0.value)" }
    filter.search = search
    filter.days = days
    filter.from = from
    filter.to = to
    filter.sort = sort
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
      let width = session.context.isOutputTerminal ? session.context.width : nil
      for line in JobOutput.table(jobs, session.style(), width: width, now: session.context.clock.now) {
        try session.output.line(line)
      }
    }
  }
}
