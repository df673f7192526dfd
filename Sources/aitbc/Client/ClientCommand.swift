import ArgumentParser
import MarketplaceClient

/// `aitbc client`: everything a user of the market does.
struct ClientCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "client",
    abstract: "Submit jobs, watch them, fetch what they made.",
    discussion: """
      Settings come from options, then AITBC_URL, AITBC_API_KEY, AITBC_API_KEY_FILE, AITBC_PROFILE, AITBC_OUTPUT, \
      AITBC_TIMEOUT, then ~/.config/aitbc/config.toml, then defaults. Without a key anywhere, keys/client.key under the \
      working directory is used. \(ExitStatus.help).
      """,
    subcommands: [
      SubmitCommand.self, StatusCommand.self, WatchCommand.self, LogsCommand.self, ListCommand.self, GetCommand.self,
      CancelCommand.self, RerunCommand.self, AttemptsCommand.self, UnlockCommand.self, QueueCommand.self,
      MoveCommand.self, DownloadCommand.self, VerifyCommand.self, ArtifactsCommand.self, ShareCommand.self,
      SharesCommand.self, UnshareCommand.self, DeleteCommand.self, CleanCommand.self, ExportCommand.self,
      StatsCommand.self, ConfigCommand.self, DoctorCommand.self,
    ])
}

/// A client verb: its options, and what it does in a session.
protocol ClientVerb: AsyncParsableCommand {
  var globals: GlobalOptions { get }
  /// A bound on each call; nil where `--timeout` means something else.
  var callTimeout: TimeSpan? { get }
  func run(_ session: ClientSession) async throws
}

extension ClientVerb {
  var callTimeout: TimeSpan? { nil }

  func run() async throws {
    let session = try ClientSession(globals, timeout: callTimeout, in: CommandContext.current)
    do {
      try await run(session)
    } catch {
      await session.client.shutdown()
      throw error
    }
    await session.client.shutdown()
  }
}
