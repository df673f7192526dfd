import ArgumentParser
import JSON
import MarketplaceClient

struct DeleteCommand: ClientVerb {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Remove a finished job's results: package, files, logs, links.",
    discussion: "The job stays in the history, with its status and cost. There is no way back.")

  @OptionGroup var globals: GlobalOptions
  @OptionGroup var format: FormatOptions
  @OptionGroup var timeout: TimeoutOptions
  @OptionGroup var job: JobArgument

  @Flag(name: .shortAndLong, help: "Do not ask.")
  var force = false

  var callTimeout: TimeSpan? { timeout.timeout }

  func run(_ session: ClientSession) async throws {
    if !force { try Confirmation.ask("Remove the results of \(job.id) for good?", session) }
    let answer = try await session.client.deleteResults(job.id)
    switch try session.format(format.output) {
    case .json: try session.output.line(answer.pretty)
    case .jsonl: try session.output.line(answer.text)
    case .yaml: try session.output.text(YAMLWriter.text(answer))
    case .id: try session.output.line(job.id)
    case .table: try session.output.line("\(Printable.line(job.id)) results removed")
    }
    if answer["errors"]?.integer ?? 0 > 0 {
      try session.remark("some of its files could not be removed yet; the coordinator tries again")
    }
  }
}
