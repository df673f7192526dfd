import ArgumentParser
import MarketplaceClient

struct GetCommand: ClientVerb {
  static let configuration = CommandConfiguration(
    commandName: "get", abstract: "Show everything that is known about a job.")

  @OptionGroup var globals: GlobalOptions
  @OptionGroup var format: FormatOptions
  @OptionGroup var timeout: TimeoutOptions
  @OptionGroup var job: JobArgument

  var callTimeout: TimeSpan? { timeout.timeout }

  func run(_ session: ClientSession) async throws {
    let snapshot = try await session.client.job(job.id)
    try JobOutput.write(snapshot, session.format(format.output), to: session.output) { JobOutput.everything(snapshot) }
  }
}
