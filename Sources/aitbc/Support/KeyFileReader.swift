/// API keys in files: the first line.
enum KeyFileReader {
  /// The largest key file, in bytes: 64 KiB.
  static let maximumBytes = 64 << 10

  static func key(in path: String) throws -> String {
    let line = try SmallFile.read(path, limit: maximumBytes).prefix { $0 != 10 && $0 != 13 }
    return try check(String(decoding: line, as: UTF8.self), path)
  }

  /// A key must be able to stand in a header. The message never shows it.
  static func check(_ key: String, _ origin: String) throws(CommandFailure) -> String {
    guard !key.isEmpty, key.utf8.count <= 4096, key.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else {
      throw CommandFailure(.usage, "\(origin) holds no API key: it must be one line of visible ASCII characters")
    }
    return key
  }
}
