import ArgumentParser
import JSON
import Marketplace
import MarketplaceClient

struct ConfigCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config", abstract: "Read and write the configuration file.",
    discussion:
      "Settings: \(ConfigFile.keys.joined(separator: ", ")). config set writes the file that every command reads.",
    subcommands: [Get.self, Set.self, List.self, Path.self])

  struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print a setting as it applies now.")
    @OptionGroup var globals: GlobalOptions
    @OptionGroup var format: FormatOptions
    @Argument(help: "url, api_key_file, output, timeout, color or profile.") var key: String

    func run() async throws {
      let context = CommandContext.current
      let known = try ConfigCommand.effective(ClientSettings(globals, in: context))
      guard let entry = known.first(where: { $0.key == key }) else {
        throw CommandFailure(
          .usage, "unknown setting \(Printable.line(key))",
          hint: "known are \((ConfigFile.keys + ["profile"]).joined(separator: ", "))")
      }
      guard let setting = entry.setting else { throw CommandFailure(.notFound, "\(key) is not set") }
      let document: JSONValue = [
        "key": .string(key), "value": .string(setting.value), "origin": .string(setting.origin),
      ]
      try ConfigCommand.write(document, globals, format, in: context) { [setting.value] }
    }
  }

  struct Set: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Write a setting.", discussion: "Example: aitbc client config set url https://market.example.org")
    @OptionGroup var globals: GlobalOptions
    @OptionGroup var format: FormatOptions
    @Argument(help: "Which setting, or profile for the one to use by default.") var key: String
    @Argument(help: "Its value.") var value: String

    func run() async throws {
      let context = CommandContext.current
      guard let path = ConfigFile.path(option: globals.configFile, context.environment) else {
        throw CommandFailure(
          .failure, "HOME is not set, so there is no place for a configuration file", hint: "give --config-file")
      }
      try ConfigCommand.check(key, value)
      var file = try ConfigFile(path: context.resolve(path))
      let profile = globals.profile ?? context.environment["AITBC_PROFILE"].nonEmpty ?? file.defaultProfile
      try file.set(key, to: value, profile: profile)
      if !globals.quiet {
        try context.errors.line("\(key) set in \(path)" + (key == "profile" ? "" : " (profile \(profile))"))
      }
      // Never the value: it may be a key.
      let document: JSONValue = ["key": .string(key), "file": .string(path), "profile": .string(profile)]
      try ConfigCommand.write(document, globals, format, in: context) { [] }
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print all settings as they apply now, and where each comes from.")
    @OptionGroup var globals: GlobalOptions
    @OptionGroup var format: FormatOptions

    func run() async throws {
      let context = CommandContext.current
      let settings = try ConfigCommand.effective(ClientSettings(globals, in: context))
      let members = settings.map { entry in
        (
          entry.key,
          entry.setting.map { ["value": .string($0.value), "origin": .string($0.origin)] } ?? JSONValue.null
        )
      }
      try ConfigCommand.write(.object(JSONObject(members)), globals, format, in: context) {
        var table = TextTable("SETTING", "VALUE", "ORIGIN")
        for entry in settings { table.add(entry.key, entry.setting?.value ?? "-", entry.setting?.origin ?? "-") }
        return table.lines(width: nil)
      }
    }
  }

  struct Path: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print the configuration file's path.")
    @OptionGroup var globals: GlobalOptions
    @OptionGroup var format: FormatOptions

    func run() async throws {
      let context = CommandContext.current
      guard let path = ConfigFile.path(option: globals.configFile, context.environment) else {
        throw CommandFailure(.notFound, "HOME is not set, so there is no configuration file")
      }
      try ConfigCommand.write(["path": .string(path)], globals, format, in: context) { [path] }
    }
  }

  /// Writes an answer in the form that the call asks for: what the file says of `output` is for the market's answers.
  fileprivate static func write(
    _ document: JSONValue, _ globals: GlobalOptions, _ format: FormatOptions, in context: CommandContext,
    table: () throws -> [String]
  ) throws {
    switch globals.json ? .json : format.output ?? .table {
    case .json: try context.output.line(document.pretty)
    case .jsonl: try context.output.line(document.text)
    case .yaml: try context.output.text(YAMLWriter.text(document))
    case .id, .table: for line in try table() { try context.output.line(line) }
    }
  }

  /// Every setting with its origin. A key itself is never shown.
  static func effective(_ settings: ClientSettings) -> [(key: String, setting: Setting?)] {
    [
      ("profile", settings.profile), ("url", settings.url),
      ("api_key", settings.apiKey.map { _ in Setting(value: "(set)", origin: settings.keyOrigin ?? "") }),
      ("api_key_file", settings.keyOrigin.flatMap { $0.contains("/") ? Setting(value: $0, origin: "key file") : nil }),
      ("output", settings.output), ("timeout", settings.timeout), ("color", settings.color),
    ]
  }

  /// Refuses a value that no command could use, before it is written.
  static func check(_ key: String, _ value: String) throws {
    let isRight: Bool
    switch key {
    case "url":
      _ = try CoordinatorURL(value)
      isRight = true
    case "output": isRight = OutputFormat(rawValue: value) != nil
    case "color": isRight = ColorChoice(rawValue: value) != nil
    case "timeout": isRight = Seconds(durationText: value) != nil
    case "api_key": isRight = !value.isEmpty && value.utf8.allSatisfy { $0 > 32 && $0 < 127 }
    case "api_key_file": isRight = !value.isEmpty
    case "profile": isRight = !value.isEmpty && value.utf8.allSatisfy { $0 >= 32 && $0 != 127 }
    default:
      throw CommandFailure(
        .usage, "unknown setting \(Printable.line(key))",
        hint: "known are \((ConfigFile.keys + ["profile"]).joined(separator: ", "))")
    }
    guard isRight else {
      throw CommandFailure(
        .usage, key == "api_key" ? "api_key is no API key" : "\(key) can't be \"\(Printable.line(value))\"")
    }
  }
}
