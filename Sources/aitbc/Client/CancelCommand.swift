import ArgumentParser
import Marketplace
import MarketplaceClient

struct CancelCommand: ClientVerb {
  static let configuration = CommandConfiguration(
    commandName: "cancel", abstract: "End a job. What it made so far is kept; what it used is charged.")

  @OptionGroup var globals: GlobalOptions
  @OptionGroup var format: FormatOptions
  @OptionGroup var timeout: TimeoutOptions
  @OptionGroup var job: JobArgument

  @Flag(name: .shortAndLong, help: "Do not ask. Needed where nobody can answer.")
  var force = false

  @Option(help: ArgumentHelp("Why; kept with the job.", valueName: "text"))
  var reason: String?

  @Option(help: ArgumentHelp("How long the program may take to end before it is killed.", valueName: "time"))
  var grace: TimeSpan?

  var callTimeout: TimeSpan? { timeout.timeout }

  func run(_ session: ClientSession) async throws {
    if !force { try confirm(session) }
    let answer = try await session.client.cancel(job.id, reason: reason, graceSeconds: grace?.seconds.whole)
    try JobOutput.write(answer, session.format(format.output), to: session.output) {
      ["\(answer.id) \(answer.statusWord)"]
    }
  }

  private func confirm(_ session: ClientSession) throws {
    guard session.context.isInputTerminal else {
      throw CommandFailure(.usage, "nobody can be asked whether to cancel \(job.id)", hint: "give --force")
    }
    try session.context.errors.text("Cancel \(job.id)? [y/N] ")
    let answer = session.context.readLine()?.lowercased() ?? ""
    guard answer == "y" || answer == "yes" else { throw CommandFailure(.failure, "not canceled") }
  }
}
