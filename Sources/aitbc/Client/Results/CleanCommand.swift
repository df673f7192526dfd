import ArgumentParser
import JSON
import Marketplace
import MarketplaceClient

struct CleanCommand: ClientVerb {
  static let configuration = CommandConfiguration(
    commandName: "clean", abstract: "Remove the results of many finished jobs.",
    discussion: """
      Needs --before, --after, --status or --all; --run-key narrows them. A date means its first moment in UTC. Active \
      jobs are never touched, and the jobs stay in the history. Example: aitbc client clean --before 2026-01-01 --dry-run
      """)

  @OptionGroup var globals: GlobalOptions
  @OptionGroup var format: FormatOptions
  @OptionGroup var timeout: TimeoutOptions

  @Option(help: ArgumentHelp("Only jobs that ended before this moment, not at it.", valueName: "date"))
  var before: String?

  @Option(help: ArgumentHelp("Only jobs that ended at this moment or later.", valueName: "date"))
  var after: String?

  @Option(help: ArgumentHelp("Only jobs that ended so. May be repeated.", valueName: "state"))
  var status: [StatusWord] = []

  @Option(help: ArgumentHelp("Only jobs with this run key.", valueName: "key"))
  var runKey: String?

  @Flag(help: "Every finished job.")
  var all = false

  @Flag(help: "Only tell what would be removed.")
  var dryRun = false

  @Flag(name: .shortAndLong, help: "Do not ask.")
  var force = false

  var callTimeout: TimeSpan? { timeout.timeout }

  func validate() throws {
    let first = try FilterOptions.moment(after, "--after")
    let last = try FilterOptions.moment(before, "--before")
    if let first, let last, first > last { throw ValidationError("--after is later than --before.") }
    if all, before != nil || after != nil { throw ValidationError("--all can't stand beside --before and --after.") }
    guard all || before != nil || after != nil || !status.isEmpty else {
      throw ValidationError("Which jobs? Give --before, --after, --status or --all.")
    }
  }

  private var body: JSONObject {
    var body = JSONObject()
    if let before { body.append("before", .string(before)) }
    if let after { body.append("after", .string(after)) }
    if !status.isEmpty { body.append("status", .array(status.map { .string($0.word) })) }
    if let runKey { body.append("run_key", .string(runKey)) }
    if all { body.append("all", true) }
    return body
  }

  func run(_ session: ClientSession) async throws {
    if !force, !dryRun {
      var asked = body
      asked["dry_run"] = true
      let count = try await session.client.purge(.object(asked)).deleted
      guard count > 0 else { return try write(PurgeAnswer(isDryRun: false), session) }
      try Confirmation.ask("Remove the results of \(count) jobs for good?", session)
    }
    var wish = body
    if dryRun { wish["dry_run"] = true }
    try write(try await session.client.purge(.object(wish)), session)
  }

  private func write(_ answer: PurgeAnswer, _ session: ClientSession) throws {
    switch try session.format(format.output) {
    case .json: try session.output.line(answer.json.pretty)
    case .yaml: try session.output.text(YAMLWriter.text(answer.json))
    case .jsonl: for item in answer.items { try session.output.line(item.text) }
    case .id: for item in answer.items { try session.output.line(Printable.line(item["job_id"]?.string ?? "")) }
    case .table:
      var table = TextTable("JOB", "STATUS", "ENDED", "NAME")
      for item in answer.items {
        table.add(
          item["job_id"]?.string ?? "-", item["status"]?.string ?? "-",
          String((item["selected_at"]?.string ?? "-").prefix(19)),
          item["name"]?.string ?? item["run_key"]?.string ?? "-")
      }
      if !answer.items.isEmpty { for line in table.lines(width: nil) { try session.output.line(line) } }
      try session.remark("\(answer.deleted) \(answer.isDryRun ? "would be removed" : "removed")")
      if answer.errors > 0 {
        try session.remark("files of \(answer.errors) could not be removed yet; the coordinator tries again")
      }
    }
  }
}
