import ArgumentParser
import MarketplaceClient

struct RerunCommand: ClientVerb {
  static let configuration = CommandConfiguration(
    commandName: "rerun", abstract: "Run a job again: a new job, the next attempt; prints its id.",
    discussion: """
      Examples:
        aitbc client rerun JOB --reason "bad input"
        aitbc client rerun --run-key nightly-7 --wait --passthrough
      The command, inputs and settings are those of the job. Strict run keys do not forbid it. While the latest attempt \
      is active it is refused (exit code 4).
      """)

  @OptionGroup var globals: GlobalOptions
  @OptionGroup var format: FormatOptions
  @OptionGroup var chain: AttemptArgument

  @Option(help: ArgumentHelp("Why; kept with the new job.", valueName: "text"))
  var reason: String?

  @Flag(
    name: [.customLong("wait"), .customLong("sync")],
    help: "Watch the job until it ends; exits with 0 only when it completed.")
  var wait = false

  @Option(
    help: ArgumentHelp(
      "With --wait: no longer than this; exits with 8 when the job is still active.", valueName: "time"),
    transform: TimeSpan.read)
  var waitTimeout: TimeSpan?

  @Flag(help: "With --wait: show what the job writes.")
  var logs = false

  @Flag(help: "With --wait: exit with the job's own exit code.")
  var passthrough = false

  func validate() throws {
    if !wait, passthrough || logs || waitTimeout != nil {
      throw ValidationError("--passthrough, --logs and --wait-timeout need --wait.")
    }
  }

  func run(_ session: ClientSession) async throws {
    let format = try session.format(format.output)
    let job = try await session.client.rerun(try await chain.jobID(session), reason: reason)
    guard wait else {
      try JobOutput.write(job, format, to: session.output) { [job.id] }
      if format == .table { try session.remark("attempt \(job.attempt); watch it with: aitbc client watch \(job.id)") }
      return
    }
    let end = try await Watcher(session: session, job: job.id, wantsLogs: logs, timeout: waitTimeout)
      .runAfterSubmission(format)
    try JobEnding.check(end, passthrough: passthrough)
  }
}
