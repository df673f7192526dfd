import JSON
import Marketplace

/// Jobs as comma-separated values (RFC 4180): a header, CRLF line ends, UTF-8, the same columns for every job.
enum JobCSV {
  private static let columns: [(name: String, value: @Sendable (Job, Timestamp) -> String?)] = [
    ("job_id", { job, _ in job.id.rawValue }),
    ("name", { job, _ in job.specification.name }),
    ("status", { job, _ in job.state.rawValue }),
    ("state", { job, _ in job.state.aitbcWord }),
    ("type", { job, _ in job.specification.runner }),
    (
      "command",
      { job, _ in job.specification.command.isEmpty ? nil : job.specification.command.joined(separator: " ") }
    ),
    ("priority", { job, _ in job.specification.priority.word }),
    ("labels", { job, _ in labels(job) }),
    ("run_key", { job, _ in job.specification.runKey }),
    ("attempt_no", { job, _ in String(job.attempt) }),
    ("rerun_of", { job, _ in job.rerunOf?.rawValue }),
    ("try", { job, _ in String(job.lastTry) }),
    ("miner_id", { job, _ in job.miner?.rawValue }),
    ("created_at", { job, _ in job.createdAt.description }),
    ("started_at", { job, _ in job.startedAt?.description }),
    ("completed_at", { job, _ in job.completedAt?.description }),
    ("exit_code", { job, _ in job.exitCode.map(String.init) }),
    ("error_code", { job, _ in job.error?.code.rawValue }),
    ("error_message", { job, _ in job.error?.message }),
    ("cost", { job, _ in job.cost.description }),
    ("results_available", { job, now in job.state.isTerminal && job.resultsGone(at: now) == nil ? "true" : "false" }),
    ("result_expires_at", { job, _ in job.resultExpiresAt?.description }),
  ]

  /// The first line.
  static let header = Array((columns.map(\.name).joined(separator: ",") + "\r\n").utf8)

  static func append(_ job: Job, at now: Timestamp, to text: inout [UInt8]) {
    for (index, column) in columns.enumerated() {
      if index > 0 { text.append(UInt8(ascii: ",")) }
      text += field(column.value(job, now) ?? "").utf8
    }
    text += Array("\r\n".utf8)
  }

  private static func labels(_ job: Job) -> String? {
    let labels = job.specification.labels.sorted { $0.key < $1.key }
    return labels.isEmpty ? nil : labels.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
  }

  /// One value, quoted where it must be. What a spreadsheet would run as a formula gets an apostrophe before it, which
  /// makes it text there.
  static func field(_ value: String) -> String {
    guard let first = value.unicodeScalars.first else { return "" }
    let isFormula = formulaStarts.contains(first)
    let text = isFormula ? "'" + value : value
    guard isFormula || text.utf8.contains(where: { quoted.contains($0) }) else { return text }
    return "\"" + text.replacing("\"", with: "\"\"") + "\""
  }

  /// Also in their full-width forms, which some programs take for the same.
  private static let formulaStarts: Set<Unicode.Scalar> = [
    "=", "+", "-", "@", "\t", "\r", "\n", "\u{FF1D}", "\u{FF0B}", "\u{FF0D}", "\u{FF20}",
  ]
  private static let quoted = Set(",\"\r\n".utf8)
}
