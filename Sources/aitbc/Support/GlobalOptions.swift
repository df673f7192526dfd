import ArgumentParser

/// The options that every client verb takes, anywhere after the verb.
struct GlobalOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The coordinator's address. Default http://localhost:8000.", valueName: "address"))
  var url: String?

  @Option(help: ArgumentHelp("The API key. Better: --api-key-file, which no process list shows.", valueName: "key"))
  var apiKey: String?

  @Option(help: ArgumentHelp("A file whose first line is the API key.", valueName: "path"))
  var apiKeyFile: String?

  @Option(help: ArgumentHelp("The part of the configuration file to use.", valueName: "name"))
  var profile: String?

  @Option(help: ArgumentHelp("The configuration file. Default ~/.config/aitbc/config.toml.", valueName: "path"))
  var configFile: String?

  @Flag(help: "Machine-readable output: the JSON document as the coordinator sent it.")
  var json = false

  @Option(help: "Colours: auto, always or never.")
  var color: ColorChoice?

  @Flag(name: .shortAndLong, help: "Only the answer itself; no remarks on standard error.")
  var quiet = false

  @Flag(name: .shortAndLong, help: "Tell on standard error what is done; twice: every retry.")
  var verbose: Int
}

/// How the answer is written.
struct FormatOptions: ParsableArguments {
  @Option(name: .shortAndLong, help: "The form of the answer: table, json, jsonl, id or yaml.")
  var output: OutputFormat?
}

/// A bound on the whole call.
struct TimeoutOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("How long the call may take with all retries, like 30s or 5m.", valueName: "time"),
    transform: TimeSpan.read)
  var timeout: TimeSpan?
}

enum ColorChoice: String, ExpressibleByArgument, CaseIterable, Sendable { case auto, always, never }

enum OutputFormat: String, ExpressibleByArgument, CaseIterable, Sendable { case table, json, jsonl, id, yaml }
