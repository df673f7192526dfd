import Cryptography

/// Where a job's files stand in its package.
public enum PackageLayout {
  public static let output = "output.json"
  /// The main output; the artifact of that name stands here and not under `artifacts/`.
  public static let result = "result.txt"
  public static let stdout = "logs/stdout.log"
  public static let stderr = "logs/stderr.log"

  public static func artifact(_ path: String) -> String { path == result ? result : "artifacts/" + path }

  /// The artifact's own name, from where it stands.
  public static func artifactName(_ path: String) -> String {
    path.hasPrefix("artifacts/") ? String(path.dropFirst("artifacts/".count)) : path
  }

  /// A file's size in bytes and its SHA-256 in lower-case hex.
  public typealias Facts = (size: Int64, sha256: String)

  /// What a miner signs: its logs and artifacts as they will stand in the package.
  ///
  /// - Throws: `ArtifactPathError`, or `ManifestError.badDigest` for facts that are none.
  public static func minerEntries(
    stdout: Facts, stderr: Facts, artifacts: [(path: String, facts: Facts)]
  ) throws -> [ManifestEntry] {
    let files = [(Self.stdout, stdout), (Self.stderr, stderr)] + artifacts.map { (artifact($0.path), $0.facts) }
    return try files.map { path, facts in
      guard let digest = SHA256Digest(hex: facts.sha256), facts.size >= 0 else {
        throw ManifestError.badDigest(path: path)
      }
      return ManifestEntry(path: try ArtifactPath(validating: path), size: UInt64(facts.size), sha256: digest)
    }
  }
}
