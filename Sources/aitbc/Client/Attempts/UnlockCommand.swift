import ArgumentParser
import JSON
import Marketplace
import MarketplaceClient

struct UnlockCommand: ClientVerb {
  static let configuration = CommandConfiguration(
    commandName: "unlock", abstract: "Allow exactly one more run under a strict run key.",
    discussion: """
      Example: aitbc client unlock --run-key nightly-7 --ttl 30m --reason "input mended"
      The next submission with the key uses it up. While a job of the key is active it is refused (exit code 4).
      """)

  @OptionGroup var globals: GlobalOptions
  @OptionGroup var format: FormatOptions
  @OptionGroup var timeout: TimeoutOptions
  @OptionGroup var chain: AttemptArgument

  @Option(
    help: ArgumentHelp("How long it holds, 1s to 3660d, like 30m. Default: until used.", valueName: "time"),
    transform: TimeSpan.read)
  var ttl: TimeSpan?

  @Option(help: ArgumentHelp("Why; kept with the run.", valueName: "text"))
  var reason: String?

  var callTimeout: TimeSpan? { timeout.timeout }

  func run(_ session: ClientSession) async throws {
    let key = try await chain.key(session)
    let document = try await session.client.unlock(
      runKey: key, ttl: ttl.map { "\($0.seconds.whole)s" }, reason: reason)
    switch try session.format(format.output) {
    case .json: try session.output.line(document.pretty)
    case .jsonl: try session.output.line(document.text)
    case .yaml: try session.output.text(YAMLWriter.text(document))
    case .id: try session.output.line(Printable.line(key))
    case .table:
      let end = document["strict_override"]?["expires_at"]?.string
      try session.output.line(
        Printable.line(key) + " unlocked for one run" + (end.map { " until \($0)" } ?? ""))
    }
  }
}
