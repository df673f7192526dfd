import Glibc
import Marketplace
import MarketplaceClient

/// `~/.config/aitbc/config.toml`: read and written at the same place.
///
///     profile = "work"            # which part is used when nothing else says so; default "default"
///     [work]
///     url = "https://market.example.org"
///     api_key_file = "/home/me/.keys/market"
struct ConfigFile: Sendable {
  /// What a profile may hold.
  static let keys = ["url", "api_key", "api_key_file", "output", "timeout", "color"]
  /// The largest file read, in bytes: 1 MiB.
  static let maximumBytes = 1 << 20

  let path: String
  private(set) var document: TOMLDocument

  /// `--config-file`, `AITBC_CONFIG`, `XDG_CONFIG_HOME`, `HOME`, in this order.
  static func path(option: String?, _ environment: [String: String]) -> String? {
    if let path = option ?? environment["AITBC_CONFIG"].nonEmpty { return path }
    if let folder = environment["XDG_CONFIG_HOME"].nonEmpty, folder.hasPrefix("/") {
      return folder + "/aitbc/config.toml"
    }
    return environment["HOME"].nonEmpty.map { $0 + "/.config/aitbc/config.toml" }
  }

  /// A file that is not there is an empty one, unless `isRequired`.
  init(path: String, isRequired: Bool = false) throws {
    self.path = path
    do {
      let bytes = try SmallFile.read(path, limit: Self.maximumBytes)
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw CommandFailure(.usage, "\(path): is not UTF-8")
      }
      document = try TOMLDocument(parsing: text)
    } catch ClientError.file(_, _, code: ENOENT) where !isRequired {
      document = TOMLDocument()
    } catch let failure as TOMLDocument.Failure {
      throw CommandFailure(.usage, "\(path):\(failure.line): \(failure.message)")
    }
    for entry in document.entries {
      let isKnown = entry.table.isEmpty ? entry.key == "profile" : Self.keys.contains(entry.key)
      guard isKnown else {
        throw CommandFailure(
          .usage, "\(path):\(entry.line + 1): unknown setting \(entry.key)",
          hint: entry.table.isEmpty
            ? "outside of a [profile] only profile = \"NAME\" may stand"
            : "known are \(Self.keys.joined(separator: ", "))")
      }
    }
  }

  var defaultProfile: String { document.value("profile", in: "") ?? "default" }

  var profiles: Set<String> { Set(document.entries.map(\.table)).subtracting([""]) }

  func value(_ key: String, profile: String) -> String? { document.value(key, in: profile) }

  /// Writes the file with this setting: whole or not at all, readable by its owner only, since it may hold a key.
  mutating func set(_ key: String, to value: String, profile: String) throws {
    do {
      document = try document.setting(key, in: key == "profile" ? "" : profile, to: value)
    } catch {
      throw CommandFailure(.failure, "\(path): \(error)")
    }
    try SmallFile.makeFolders(for: path)
    try SmallFile.replace(path, with: Array(document.text.utf8), mode: 0o600)
  }
}

extension String? {
  /// Nil for empty text too: an empty variable is as good as none.
  var nonEmpty: String? { flatMap { $0.isEmpty ? nil : $0 } }
}
