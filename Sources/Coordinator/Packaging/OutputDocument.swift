import JSON
import Marketplace
import Store
import Wire

/// `output.json` of a package: what the job was and what became of it. Made from rows alone, so that the same job gives
/// the same bytes.
enum OutputDocument {
  static func make(job: Job, tries: [TryRecord], artifacts: [ArtifactRecord]) -> JSONValue {
    let document = job.document()
    var object = JSONObject()
    for name in Self.jobMembers { object.append(name, document[name] ?? .null) }
    object.append("tries", .array(tries.map(\.document)))
    object.append(
      "artifacts",
      .array(
        artifacts.map {
          ["path": .string($0.path), "size": .integer($0.size), "sha256": .string($0.sha256)]
        }))
    return .object(object)
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
