/// Paths as they may stand in logs and answers.
enum LoggablePath {
  /// A path without the secrets that stand in some: what follows a segment `leases` or `share`, and whatever begins as
  /// our tokens and keys do. However it is written: a router that does not know `/v1/%73hare/…` still logs it.
  static func of(_ path: String) -> String {
    var hidesNext = false
    let segments = path.split(separator: "/", omittingEmptySubsequences: false).map { segment -> String in
      let plain = PercentDecoding.decode(segment).lowercased()
      guard !plain.isEmpty else { return String(segment) }
      defer { hidesNext = plain == "leases" || plain == "share" }
      return hidesNext || secrets.contains(where: plain.hasPrefix) ? "…" : String(segment)
    }
    return segments.joined(separator: "/")
  }

  private static let secrets = ["lt_", "sh_", "ak_"]
}
