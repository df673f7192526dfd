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
      try context.output.line(setting.value)
    }
  }

  struct Set: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Write a setting.", discussion: "Example: aitbc client config set url https://market.example.org")
    @OptionGroup var globals: GlobalOptions
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
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print all settings as they apply now, and where each comes from.")
    @OptionGroup var globals: GlobalOptions

    func run() async throws {
      let context = CommandContext.current
      let settings = try ConfigCommand.effective(ClientSettings(globals, in: context))
      if globals.json {
        let members = settings.map { entry in
          (
            entry.key,
            entry.setting.map { ["value": .string($0.value), "origin": .string($0.origin)] } ?? JSONValue.null
          )
        }
        return try context.output.line(JSONValue.object(JSONObject(members)).pretty)
      }
      var table = TextTable("SETTING", "VALUE", "ORIGIN")
      for entry in settings { table.add(entry.key, entry.setting?.value ?? "-", entry.setting?.origin ?? "-") }
      for line in table.lines(width: nil) { try context.output.line(line) }
    }
  }

  struct Path: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print the configuration file's path.")
    @OptionGroup var globals: GlobalOptions

    func run() async throws {
      let context = CommandContext.current
      guard let path = ConfigFile.path(option: globals.configFile, context.environment) else {
        throw CommandFailure(.notFound, "HOME is not set, so there is no configuration file")
      }
      try context.output.line(path)
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
