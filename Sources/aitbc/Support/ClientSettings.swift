import Marketplace
import MarketplaceClient

/// A setting's value and where it comes from.
struct Setting: Hashable, Sendable {
  let value: String
  let origin: String

  /// The value as an address; the error names where it comes from, and not the value, which may hold credentials.
  var coordinatorURL: CoordinatorURL {
    get throws {
      do {
        return try CoordinatorURL(value)
      } catch .invalid(_, let reason) {
        throw CommandFailure(.usage, "the address from \(origin) \(reason)")
      }
    }
  }
}

/// Flag, then environment, then profile, then default; first come, first served.
struct ClientSettings: Sendable {
  /// Whose key a command needs: they come from different places, so that neither is sent where the other belongs.
  enum KeyRole: Sendable { case client, admin }

  static let defaultKeyFile = "keys/client.key"
  static let adminKeyFile = "keys/admin.key"

  let profile: Setting
  let url: Setting
  /// The key's place, never the key.
  let keyOrigin: String?
  let apiKey: String?
  let output: Setting?
  let timeout: Setting?
  let color: Setting?
  let configPath: String?

  private static let variables = [
    "url": "AITBC_URL", "api_key": "AITBC_API_KEY", "api_key_file": "AITBC_API_KEY_FILE", "output": "AITBC_OUTPUT",
    "timeout": "AITBC_TIMEOUT", "color": "AITBC_COLOR",
  ]

  init(_ options: GlobalOptions, role: KeyRole = .client, in context: CommandContext) throws {
    configPath = ConfigFile.path(option: options.configFile, context.environment)
    let file = try configPath.map {
      try ConfigFile(path: context.resolve($0), isRequired: options.configFile != nil)
    }
    let profile = Self.profile(options, file, context.environment)
    self.profile = profile
    if profile.origin != "default", file.map({ !$0.profiles.contains(profile.value) }) ?? true {
      throw CommandFailure(
        .usage, "there is no profile \"\(profile.value)\" (named by \(profile.origin))",
        hint: "make one with: aitbc client config set url ADDRESS --profile \(profile.value)")
    }
    func find(_ key: String, _ flag: String? = nil) -> Setting? {
      if let flag { return Setting(value: flag, origin: "--" + key.replacing("_", with: "-")) }
      if let name = Self.variables[key], let value = context.environment[name].nonEmpty {
        return Setting(value: value, origin: name)
      }
      return file?.value(key, profile: profile.value).map { Setting(value: $0, origin: "profile \(profile.value)") }
    }
    url = find("url", options.url) ?? Setting(value: CoordinatorURL.localDefault.description, origin: "default")
    output = find("output")
    timeout = find("timeout")
    color = find("color", options.color?.rawValue)
    (apiKey, keyOrigin) =
      role == .admin ? try Self.adminKey(options, context) : try Self.key(options, find, context)
  }

  private static func profile(_ options: GlobalOptions, _ file: ConfigFile?, _ environment: [String: String]) -> Setting
  {
    if let name = options.profile { return Setting(value: name, origin: "--profile") }
    if let name = environment["AITBC_PROFILE"].nonEmpty { return Setting(value: name, origin: "AITBC_PROFILE") }
    if let file, file.defaultProfile != "default" { return Setting(value: file.defaultProfile, origin: "the file") }
    return Setting(value: "default", origin: "default")
  }

  /// Flags, then `AITBC_ADMIN_KEY` and `AITBC_ADMIN_KEY_FILE`, then the file that a local coordinator wrote.
  private static func adminKey(
    _ options: GlobalOptions, _ context: CommandContext
  ) throws -> (key: String?, origin: String?) {
    if let key = options.apiKey { return (try KeyFileReader.check(key, "--api-key"), "--api-key") }
    if let path = options.apiKeyFile { return (try KeyFileReader.key(in: context.resolve(path)), path) }
    if let key = context.environment["AITBC_ADMIN_KEY"].nonEmpty {
      return (try KeyFileReader.check(key, "AITBC_ADMIN_KEY"), "AITBC_ADMIN_KEY")
    }
    if let path = context.environment["AITBC_ADMIN_KEY_FILE"].nonEmpty {
      return (try KeyFileReader.key(in: context.resolve(path)), path)
    }
    let local = context.resolve(adminKeyFile)
    return SmallFile.exists(local) ? (try KeyFileReader.key(in: local), local) : (nil, nil)
  }

  /// Within one level a key itself goes before a file with one.
  private static func key(
    _ options: GlobalOptions, _ find: (String, String?) -> Setting?, _ context: CommandContext
  ) throws -> (key: String?, origin: String?) {
    if let key = options.apiKey { return (try KeyFileReader.check(key, "--api-key"), "--api-key") }
    if let path = options.apiKeyFile { return (try KeyFileReader.key(in: context.resolve(path)), path) }
    // Levels below the flags: the environment first as a whole, then the profile.
    let (direct, file) = (find("api_key", nil), find("api_key_file", nil))
    if let direct, direct.origin == "AITBC_API_KEY" || file?.origin != "AITBC_API_KEY_FILE" {
      return (try KeyFileReader.check(direct.value, direct.origin), direct.origin)
    }
    if let file { return (try KeyFileReader.key(in: context.resolve(file.value)), file.value) }
    let local = context.resolve(defaultKeyFile)
    return SmallFile.exists(local) ? (try KeyFileReader.key(in: local), local) : (nil, nil)
  }
}
