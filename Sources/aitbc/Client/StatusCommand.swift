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

  @Flag(help: "Tell all about why it waits: what miners lack, who comes nearest, its place, when it may start.")
  var explain = false

  var callTimeout: TimeSpan? { timeout.timeout }

  func run(_ session: ClientSession) async throws {
    let snapshot = try await session.client.job(job.id)
    try JobOutput.write(snapshot, session.format(format.output), to: session.output) {
      let now = session.context.clock.now
      return JobOutput.summary(snapshot, session.style(), now: now)
        + (explain ? WaitingExplanation.lines(snapshot, now: now) : [])
    }
  }
}
