import ArgumentParser
import JSON
import Marketplace
import MarketplaceClient

struct WatchCommand: ClientVerb {
  static let configuration = CommandConfiguration(
    commandName: "watch", abstract: "Follow a job until it ends.",
    discussion: "Exits with 0 only when the job completed. Ctrl-C ends the watching, not the job.")

  @OptionGroup var globals: GlobalOptions
  @OptionGroup var format: FormatOptions
  @OptionGroup var job: JobArgument

  @Flag(help: "Show what the job writes: its standard output on standard output, its errors on standard error.")
  var logs = false

  @Option(
    help: ArgumentHelp("Watch no longer than this; exits with 8 when the job is still active.", valueName: "time"),
    transform: TimeSpan.read)
  var timeout: TimeSpan?

  @Flag(help: "Exit with the job's own exit code.")
  var passthrough = false

  func run(_ session: ClientSession) async throws {
    let format = try session.format(format.output)
    let form = Self.form(format, session)
    let watcher = Watcher(session: session, job: job.id, wantsLogs: logs, timeout: timeout)
    let snapshot = try await watcher.run(WatchView(form, linesToErrors: logs && form != .jsonLines, session))
    try Self.finish(snapshot, format, linesToErrors: logs, session)
    try JobEnding.check(snapshot, passthrough: passthrough)
  }

  static func form(_ format: OutputFormat, _ session: ClientSession) -> WatchView.Form {
    switch format {
    case .jsonl: .jsonLines
    case .json, .yaml, .id: .silent
    case .table:
      session.isQuiet
        ? .silent : session.context.isErrorTerminal && session.context.environment["TERM"] != "dumb" ? .bar : .lines
    }
  }

  /// The last word about a job. Where standard output is something else's, it is a remark.
  static func finish(_ job: JobSnapshot, _ format: OutputFormat, linesToErrors: Bool, _ session: ClientSession) throws {
    if format == .jsonl { return try session.output.line(job.json.text) }
    guard format == .table else { return try JobOutput.write(job, format, to: session.output) { [] } }
    if linesToErrors, session.isQuiet { return }
    let output = linesToErrors ? session.context.errors : session.output
    let style = session.style(forErrors: linesToErrors)
    let width = session.context.width(forErrors: linesToErrors)
    // Nothing of a reason is cut off.
    for line in Printable.wrapped(Printable.line(JobOutput.ending(job)), to: width) {
      try output.line(style.paint(line, Style.color(of: job.statusWord)))
    }
  }
}

/// The exit code that a job's end means.
enum JobEnding {
  /// - Throws: ``CommandExit`` for every end but `completed`; with `passthrough` the job's own code when it has one.
  static func check(_ job: JobSnapshot, passthrough: Bool) throws(CommandExit) {
    if passthrough, let code = job.exitCode, code != 0 { throw CommandExit(code: Int32(clamping: code) & 255) }
    if job.status != .completed { throw CommandExit(.failure) }
  }
}
