public import JSON
public import Marketplace

/// A job as the coordinator showed it at one moment. Tolerant: members that are missing or of another type are nil, and
/// ``json`` keeps whatever was sent.
public struct JobSnapshot: Hashable, Sendable {
  /// The document as it came, for `--json`.
  public let json: JSONValue

  /// Nil when it is not an object with a `job_id`.
  public init?(json: JSONValue) {
    guard json["job_id"]?.string != nil else { return nil }
    self.json = json
  }

  public var id: String { json["job_id"]?.string ?? "" }
  public var name: String? { json["name"]?.string }
  /// Nil for a word that this version does not know; see ``statusWord``.
  public var status: JobState? { json["status"]?.string.flatMap(JobState.init(rawValue:)) }
  public var statusWord: String { json["status"]?.string ?? "unknown" }
  public var isTerminal: Bool { status?.isTerminal ?? false }
  /// 0-100.
  public var progress: Int { Int(clamping: json["progress"]?.integer ?? 0) }
  public var progressMessage: String? { json["progress_message"]?.string }
  public var minerID: String? { json["miner_id"]?.string }
  public var attempt: Int { Int(clamping: json["attempt_no"]?.integer ?? 1) }
  public var tryNumber: Int { Int(clamping: json["try"]?.integer ?? 0) }
  public var exitCode: Int? { json["exit_code"]?.integer.map { Int(clamping: $0) } }
  public var errorText: String? { json["error"]?.string }
  public var errorCode: String? { json["error_detail"]?["code"]?.string }
  public var errorMessage: String? { json["error_detail"]?["message"]?.string }
  /// Why it waits, for people.
  public var pendingReason: String? { json["pending_reason"]?["message"]?.string }
  public var cost: String? { json["cost"]?.string ?? json["cost"]?.numberText }
  public var estimatedCost: String? { json["estimated_cost"]?.string }
  public var queuePosition: Int? { json["queue_position"]?.integer.map { Int(clamping: $0) } }
  /// The position may be higher: the coordinator stopped counting.
  public var isQueuePositionMinimum: Bool { json["queue_position_is_minimum"]?.bool ?? false }
  public var priorityWord: String? { json["priority"]?.string }
  public var type: String? { json["type"]?.string ?? json["payload"]?["type"]?.string }
  public var command: [String] { json["command"]?.array?.compactMap(\.string) ?? [] }
  public var resultsAvailable: Bool { json["results_available"]?.bool ?? false }
  /// Set when a submission met an earlier one.
  public var isExisting: Bool { json["existing"]?.bool ?? false }

  public var createdAt: Timestamp? { time("created_at") }
  public var assignedAt: Timestamp? { time("assigned_at") }
  public var startedAt: Timestamp? { time("started_at") }
  public var completedAt: Timestamp? { time("completed_at") }
  public var estimatedStart: Timestamp? { time("estimated_start") }
  public var estimatedCompletion: Timestamp? { time("estimated_completion") }

  /// Since when it is in its state, as far as the document tells.
  public var since: Timestamp? {
    switch status {
    case .assigned: assignedAt ?? createdAt
    case .running: startedAt ?? assignedAt ?? createdAt
    case .canceling: json["cancel"]?["requested_at"]?.string.flatMap { Timestamp(rfc3339: $0) } ?? startedAt
    default: completedAt ?? startedAt ?? createdAt
    }
  }

  private func time(_ name: String) -> Timestamp? { json[name]?.string.flatMap { Timestamp(rfc3339: $0) } }
}
