import ArgumentParser
import Clocks
import JSON
import Marketplace
import MarketplaceClient

struct AttemptsCommand: ClientVerb {
  static let configuration = CommandConfiguration(
    commandName: "attempts", abstract: "List the attempts of a job or a run key, latest first.")

  @OptionGroup var globals: GlobalOptions
  @OptionGroup var format: FormatOptions
  @OptionGroup var timeout: TimeoutOptions
  @OptionGroup var chain: AttemptArgument

  @Option(help: "How many, 1 to 500. Default 500.") var limit: Int?

  @Option(help: ArgumentHelp("Only attempts with lower numbers.", valueName: "attempt")) var before: Int?

  var callTimeout: TimeSpan? { timeout.timeout }

  func validate() throws {
    if let limit, !(1...500).contains(limit) { throw ValidationError("--limit must be between 1 and 500.") }
    if let before, before < 1 { throw ValidationError("--before must be 1 or more.") }
  }

  func run(_ session: ClientSession) async throws {
    let document =
      switch chain.choice {
      case .job(let id): try await session.client.attempts(id, before: before, limit: limit)
      case .runKey(let key): try await session.client.runKey(key, before: before, limit: limit)
      }
    let jobs = (document["attempts"]?.array ?? []).compactMap(JobSnapshot.init(json:))
    switch try session.format(format.output) {
    case .json: try session.output.line(document.pretty)
    case .yaml: try session.output.text(YAMLWriter.text(document))
    case .jsonl: for job in jobs { try session.output.line(job.json.text) }
    case .id: for job in jobs { try session.output.line(job.id) }
    case .table:
      for line in Self.table(jobs, session) { try session.output.line(line) }
      if let next = document["next_before"]?.integer {
        try session.remark("there are more: --before \(next)")
      }
    }
  }

  private static func table(_ jobs: [JobSnapshot], _ session: ClientSession) -> [String] {
    var table = TextTable("ATTEMPT", "JOB", "STATUS", "CREATED", "EXIT", "REASON")
    for job in jobs {
      table.add(
        "\(job.attempt)", job.id, job.statusWord, job.createdAt.map { String($0.description.prefix(19)) } ?? "-",
        job.exitCode.map(String.init) ?? "-", job.json["rerun_reason"]?.string ?? "-")
    }
    let style = session.style()
    return table.lines(width: session.context.width()) { column, cell, padded in
      column == 2 ? style.paint(padded, Style.color(of: cell)) : padded
    }
  }
}
