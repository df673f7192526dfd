import Cryptography
import JSON
import Marketplace
import ResultPackage
import Store
import Wire

/// `output.json` of a package: what the job was and what became of it. Made from rows alone, so that the same job gives
/// the same bytes; and made in pieces, because it lists the artifacts, of which there may be a hundred thousand.
struct OutputDocument: Sendable {
  /// All but the artifacts and what comes after them.
  private let head: [UInt8]
  private let artifacts: [ManifestEntry]

  private static let artifactsInPiece = 1024
  private static let tail = Array("]\n}\n".utf8)

  /// `artifacts` are what the package's manifest says of them.
  init(job: Job, tries: [TryRecord], artifacts: [ManifestEntry]) {
    let document = job.document()
    var object = JSONObject()
    for name in Self.jobMembers { object.append(name, document[name] ?? .null) }
    object.append("tries", .array(tries.map(\.document)))
    // The list is left open: what `[]` ends with comes after the artifacts.
    object.append("artifacts", [])
    head = Array((JSONValue.object(object).pretty + "\n").utf8.dropLast(Self.tail.count))
    self.artifacts = artifacts
  }

  var source: PackageEntry.Source {
    var length: UInt64 = 0
    for index in 0..<pieceCount { length += UInt64(piece(index)?.count ?? 0) }
    return .pieces(length: length) {
      var index = 0
      return {
        defer { index += 1 }
        return piece(index)
      }
    }
  }

  private var pieceCount: Int { 2 + (artifacts.count + Self.artifactsInPiece - 1) / Self.artifactsInPiece }

  /// Nil after the last.
  func piece(_ index: Int) -> [UInt8]? {
    guard index > 0 else { return head }
    guard index < pieceCount else { return nil }
    guard index < pieceCount - 1 else { return Array((artifacts.isEmpty ? "" : "\n  ").utf8) + Self.tail }
    let start = (index - 1) * Self.artifactsInPiece
    var bytes: [UInt8] = []
    for index in start..<min(start + Self.artifactsInPiece, artifacts.count) {
      let artifact = artifacts[index]
      let fact: JSONValue = [
        "path": .string(PackageLayout.artifactName(artifact.path.string)), "size": .integer(Int64(artifact.size)),
        "sha256": .string(artifact.sha256.hex),
      ]
      bytes += Array((index == 0 ? "\n    " : ",\n    ").utf8)
      JSONWriter.appendPretty(fact, indentation: 2, to: &bytes)
    }
    return bytes
  }

  /// Everything that is settled when the job ended; nothing that changes later.
  private static let jobMembers = [
    "job_id", "name", "status", "state", "progress", "miner_id", "created_at", "created_at_unix", "started_at",
    "started_at_unix", "completed_at", "completed_at_unix", "attempt_no", "try", "rerun_of", "type", "command",
    "payload", "constraints", "inputs", "labels", "priority", "timeout_seconds", "run_key", "exit_code", "error",
    "error_detail", "cancel", "cost", "result",
  ]
}

extension TryRecord {
  /// A try as REST and `output.json` show it.
  var document: JSONValue {
    var object = JSONObject([
      ("try", .integer(Int64(number))), ("miner_id", .string(miner.rawValue)), ("state", .string(state.rawValue)),
    ])
    object.append(time: claimedAt, as: "claimed_at")
    object.append(time: startedAt, as: "started_at")
    object.append(time: endedAt, as: "ended_at")
    object.append("exit_code", JSONValue(exitCode))
    object.append("error", JSONValue(error?.text))
    object.append("error_detail", error?.json ?? .null)
    object.append("usage", usage ?? .null)
    object.append("stdout", stdout?.document ?? .null)
    object.append("stderr", stderr?.document ?? .null)
    return .object(object)
  }
}

extension LogRecord {
  var document: JSONValue { ["length": .integer(length), "sha256": .string(sha256)] }
}
