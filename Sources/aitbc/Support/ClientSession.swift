import Logging
import Marketplace
import MarketplaceClient

/// What a client verb works with: the settings resolved, a client, and places to write.
struct ClientSession: Sendable {
  let context: CommandContext
  let settings: ClientSettings
  let client: MarketplaceClient
  let isQuiet: Bool
  let isVerbose: Bool
  private let wantsJSON: Bool

  init(
    _ options: GlobalOptions, timeout: TimeSpan?, role: ClientSettings.KeyRole = .client, in context: CommandContext
  ) throws {
    self.context = context
    settings = try ClientSettings(options, role: role, in: context)
    isQuiet = options.quiet
    isVerbose = options.verbose > 0
    wantsJSON = options.json
    var configuration = ClientConfiguration(url: try settings.url.coordinatorURL, apiKey: settings.apiKey)
    configuration.userAgent = "aitbc-client/\(Version.text)"
    configuration.clock = context.clock
    configuration.callTimeout = try timeout?.seconds ?? Self.span(settings.timeout)
    var logger = Logger(label: "aitbc.client") { _ in RemarkLogHandler(context.errors) }
    logger.logLevel = options.verbose > 1 ? .debug : .warning
    configuration.logger = logger
    client = context.makeClient(configuration)
  }

  private static func span(_ setting: Setting?) throws -> Seconds? {
    guard let setting else { return nil }
    guard let seconds = Seconds(durationText: setting.value) else {
      throw CommandFailure(.usage, "timeout (\(setting.origin)) must be \(Seconds.durationHelp())")
    }
    return seconds
  }

  /// `--json` goes before `--output`, that before the setting.
  func format(_ chosen: OutputFormat?) throws -> OutputFormat {
    if wantsJSON { return .json }
    if let chosen { return chosen }
    guard let setting = settings.output else { return .table }
    guard let format = OutputFormat(rawValue: setting.value) else {
      throw CommandFailure(
        .usage,
        "output (\(setting.origin)) is \"\(Printable.line(setting.value))\"; it must be table, json, jsonl, id or yaml")
    }
    return format
  }

  var output: any ByteOutput { context.output }

  /// A line for the person, on standard error; silent with `--quiet`.
  func remark(_ text: String) throws {
    if !isQuiet { try context.errors.line(Printable.line(text)) }
  }

  func detail(_ text: String) throws {
    if isVerbose { try context.errors.line(Printable.line(text)) }
  }

  /// Colours of what goes to standard output, or to standard error.
  func style(forErrors: Bool = false) -> Style {
    Style(
      choice: settings.color.flatMap { ColorChoice(rawValue: $0.value) } ?? .auto,
      isTerminal: forErrors ? context.isErrorTerminal : context.isOutputTerminal, context.environment)
  }
}

/// Retries and the like, as remarks.
struct RemarkLogHandler: LogHandler {
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.warning
  private let output: any ByteOutput

  init(_ output: any ByteOutput) { self.output = output }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    try? output.line(Printable.line("\(event.level): \(event.message)"))
  }
}
