import ArgumentParser
import Clocks
import MarketplaceClient

struct StatusCommand: ClientVerb {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Tell where a job stands, and why it waits.")

  @OptionGroup var globals: GlobalOptions
  @OptionGroup var format: FormatOptions
  @OptionGroup var timeout: TimeoutOptions
  @OptionGroup var job: JobArgument

  var callTimeout: TimeSpan? { timeout.timeout }

  func run(_ session: ClientSession) async throws {
    let snapshot = try await session.client.job(job.id)
    try JobOutput.write(snapshot, session.format(format.output), to: session.output) {
      JobOutput.summary(snapshot, session.style(), now: session.context.clock.now)
    }
  }
}
