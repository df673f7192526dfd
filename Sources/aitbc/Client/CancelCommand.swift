import ArgumentParser
import JSON
import Marketplace
import MarketplaceClient

struct CancelCommand: ClientVerb {
  static let configuration = CommandConfiguration(
    commandName: "cancel", abstract: "End jobs. What they made so far is kept; what they used is charged.",
    discussion: """
      Examples:
        aitbc client cancel JOB
        aitbc client cancel JOB1 JOB2 --force
        aitbc client cancel --status pending --label sweep=7 --dry-run
      """)

  @OptionGroup var globals: GlobalOptions
  @OptionGroup var format: FormatOptions
  @OptionGroup var timeout: TimeoutOptions

  @Option(name: .customLong("job-id"), help: ArgumentHelp("A job. May be repeated.", valueName: "id"))
  var jobID: [String] = []

  @Argument(help: ArgumentHelp("Jobs.", valueName: "id"))
  var positional: [String] = []

  @Option(help: ArgumentHelp("The active job of this run key.", valueName: "key"))
  var runKey: String?

  @OptionGroup(title: "Many jobs") var filter: CancelFilter

  @Flag(name: .shortAndLong, help: "Do not ask. Needed where nobody can answer.")
  var force = false

  @Option(help: ArgumentHelp("Why; kept with the job.", valueName: "text"))
  var reason: String?

  @Option(
    help: ArgumentHelp(
      "How long the program may take to end before it is killed, 1s to 1h. Default 5s.", valueName: "time"),
    transform: TimeSpan.upTo(CancelRequest.longestGrace))
  var grace: TimeSpan?

  var callTimeout: TimeSpan? { timeout.timeout }

  /// Each job once, in the order given.
  private var ids: [String] {
    var known: Set<String> = []
    return (positional + jobID).filter { known.insert($0).inserted }
  }

  func validate() throws {
    let choices = [!ids.isEmpty, runKey != nil, !filter.isEmpty].count { $0 }
    guard choices == 1 else {
      throw ValidationError(
        choices == 0
          ? "Which jobs? Give ids, --run-key, or a filter such as --status pending; --all for every active job."
          : "Give ids, or --run-key, or a filter.")
    }
    guard ids.allSatisfy({ !$0.isEmpty && $0.utf8.count <= 256 }) else { throw ValidationError("That is no job id.") }
    if let limit = filter.limit, !(1...10_000).contains(limit) {
      throw ValidationError("--limit must be between 1 and 10000.")
    }
  }

  func run(_ session: ClientSession) async throws {
    if ids.count == 1, !filter.dryRun { return try await cancelOne(ids[0], session) }
    if !force, !filter.dryRun { try await confirmMany(session) }
    let answer = try await session.client.cancel(many: body(isDryRun: filter.dryRun))
    try write(answer, session)
    // What was named and could not be canceled is told by the exit code; a filter just found what there was.
    guard !ids.isEmpty, !filter.dryRun, (answer["errors"]?.integer ?? 0) > 0 else { return }
    let outcomes = (answer["items"]?.array ?? []).map { $0["outcome"]?.string }
    throw CommandExit(outcomes.contains("not_found") ? .notFound : .state)
  }

  private func cancelOne(_ id: String, _ session: ClientSession) async throws {
    if !force { try confirm("Cancel \(id)?", session) }
    let answer = try await session.client.cancel(id, reason: reason, graceSeconds: grace?.seconds.whole)
    try JobOutput.write(answer, session.format(format.output), to: session.output) {
      ["\(answer.id) \(answer.statusWord)"]
    }
  }

  private func confirmMany(_ session: ClientSession) async throws {
    guard session.context.isInputTerminal else { return try confirm("", session) }
    let found = try await session.client.cancel(many: body(isDryRun: true))
    let more = found["has_more"]?.bool == true ? " or more" : ""
    try confirm("Cancel \(found["matched"]?.integer ?? 0)\(more) jobs?", session)
  }

  private func confirm(_ question: String, _ session: ClientSession) throws {
    guard session.context.isInputTerminal else {
      throw CommandFailure(.usage, "nobody can be asked whether to cancel", hint: "give --force")
    }
    try session.context.errors.text(Printable.line(question) + " [y/N] ")
    let answer = session.context.readLine()?.lowercased() ?? ""
    guard answer == "y" || answer == "yes" else { throw CommandFailure(.failure, "not canceled") }
  }

  private func body(isDryRun: Bool) -> JSONValue {
    var body = JSONObject()
    if !ids.isEmpty { body.append("ids", .array(ids.map(JSONValue.string))) }
    if let runKey { body.append("run_key", .string(runKey)) }
    filter.add(to: &body)
    if let reason { body.append("reason", .string(reason)) }
    if let grace { body.append("grace_seconds", .integer(grace.seconds.whole)) }
    if isDryRun { body.append("dry_run", true) }
    return .object(body)
  }

  private func write(_ answer: JSONValue, _ session: ClientSession) throws {
    let items = answer["items"]?.array ?? []
    switch try session.format(format.output) {
    case .json: try session.output.line(answer.pretty)
    case .yaml: try session.output.text(YAMLWriter.text(answer))
    case .jsonl: for item in items { try session.output.line(item.text) }
    case .id: for item in items { try session.output.line(Printable.line(item["job_id"]?.string ?? "")) }
    case .table:
      for item in items {
        let line = "\(item["job_id"]?.string ?? "") \(item["outcome"]?.string ?? "")"
        try session.output.line(Printable.line(line))
      }
      if filter.dryRun { try session.remark("nothing was changed (--dry-run)") }
      if answer["has_more"]?.bool == true { try session.remark("there are more: say it again") }
    }
  }
}

/// Which active jobs are meant.
struct CancelFilter: ParsableArguments {
  @Option(help: ArgumentHelp("Only these states: pending, running, … May be repeated.", valueName: "state"))
  var status: [StatusWord] = []
  @Option(help: ArgumentHelp("Only jobs with this label. May be repeated.", valueName: "name=value"))
  var label: [NameValue] = []
  @Option(help: ArgumentHelp("Only jobs in which this text stands.", valueName: "text")) var search: String?
  @Option(help: ArgumentHelp("Only jobs created from this day or time on.", valueName: "date")) var from: String?
  @Option(help: ArgumentHelp("Only jobs created before this day or time.", valueName: "date")) var to: String?
  @Flag(help: "Every active job.") var all = false
  @Option(help: "No more than so many, oldest first, 1 to 10000. Default 10000.") var limit: Int?
  @Flag(help: "Tell which jobs that would be; change nothing.") var dryRun = false

  var isEmpty: Bool {
    status.isEmpty && label.isEmpty && search == nil && from == nil && to == nil && !all
  }

  func add(to body: inout JSONObject) {
    if !status.isEmpty { body.append("status", .string(status.map(\.word).joined(separator: ","))) }
    if !label.isEmpty {
      body.append("labels", .object(JSONObject(label.map { ($0.name, .string($0.value)) })))
    }
    for (name, text) in [("q", search), ("from", from), ("to", to)] {
      if let text { body.append(name, .string(text)) }
    }
    if all { body.append("all", true) }
    if let limit { body.append("limit", .integer(Int64(limit))) }
  }
}
