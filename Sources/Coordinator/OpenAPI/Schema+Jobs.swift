import JSON
import Marketplace

extension Schema {
  static let problems: [(String, Schema)] = [
    (
      "Problem",
      .members(
        [
          .always("type", .string, "a URN made of the code"), .always("title", .string), .always("status", .integer),
          .always("detail", .string), .always("code", .string, "for programs; stable"),
          .always("request_id", .string, "as in `X-Request-ID`; the coordinator's log has it too"),
          .always("retryable", .boolean, "the same request may succeed later"),
          .sometimes("errors", .array(.reference("FieldError"))),
        ], "RFC 9457. Some codes have further members, such as `purged_at`.")
    ),
    (
      "FieldError",
      .members([
        .always("pointer", .string, "JSON pointer into the body, or the name of a query parameter or header"),
        .always("message", .string),
      ])
    ),
  ]

  private static let status = Schema.words(JobState.allCases.map(\.rawValue))
  static let priority = Schema.words(Priority.allCases.map(\.word))

  static let jobs: [(String, Schema)] = [
    ("Status", status),
    ("State", Schema.words(["QUEUED", "RUNNING", "COMPLETED", "FAILED", "CANCELED", "EXPIRED"])),
    (
      "ErrorDetail",
      .members([.always("code", .words(JobErrorCode.allCases.map(\.rawValue))), .always("message", .string)])
    ),
    (
      "Cancel",
      .members([
        .at("requested_at"), .nullable("reason", .string), .always("grace_seconds", .count),
        .always("outcome", .words(["pending", "canceled", "too_late", "failed"])),
      ])
    ),
    (
      "PendingReason",
      .members([
        .always("code", .words(["NO_MINERS", "NO_MINER_FITS", "ALL_BUSY", "PRICE_TOO_LOW", "QUOTA", "NOT_BEFORE"])),
        .always("message", .string), .always("fitting_miners", .count),
        .always("lacking", .map(.count), "for each requirement, how many connected miners lack it"),
        .nullable("nearest", .members([.always("miner_id", .id("miner")), .always("missing", .array(.string))])),
      ])
    ),
    ("Constraints", .members(constraints)),
    (
      "Input",
      .members([.always("path", .string), .always("sha256", .sha256), .sometimes("executable", .boolean)])
    ),
    ("Job", .members(job)),
    (
      "SubmittedJob",
      .members(
        job + [
          .always("existing", .boolean, "a run key stood for this job already"),
          .always("accepted", .boolean), .sometimes("strict_override_used", .boolean, "an unlock was used up"),
          .sometimes("rerun", .boolean),
        ])
    ),
  ]

  static let constraints: [Member] = [
    .sometimes("gpu", .string, "by name, without case: `V100` fits `Tesla V100`"), .sometimes("gpu_count", .count),
    .sometimes("min_vram_gb", .count), .sometimes("cuda", .string, "this version or a later one"),
    .sometimes("models", .array(.string)), .sometimes("region", .string),
    .sometimes("max_price", Schema(json: ["type": ["string", "number"]]), "per GPU-hour"),
    .sometimes("labels", .map(.string)), .sometimes("cpus", .count), .sometimes("memory_mb", .count),
    .sometimes("network", .boolean),
  ]

  static let job: [Member] = identity + moments + history + wishes + outcome

  private static let identity: [Member] = [
    .always("job_id", .id("job")), .nullable("name", .string), .always("status", .reference("Status")),
    .always("state", .reference("State"), "the status in AITBC's words"),
    .always("progress", Schema(json: ["type": "integer", "minimum": 0, "maximum": 100])),
    .nullable("progress_message", .string), .nullable("miner_id", .id("miner")),
    .nullable("assigned_miner_id", .id("miner")),
  ]

  private static let moments: [Member] = [
    .at("created_at"), .at("requested_at"), .at("assigned_at", isNullable: true),
    .at("started_at", isNullable: true), .at("completed_at", isNullable: true), .at("finished_at", isNullable: true),
    .at("expires_at", isNullable: true, "when it leaves the queue unrun"), .at("available_at", isNullable: true),
    .at("result_expires_at", isNullable: true), .at("results_purged_at", isNullable: true),
    .nullable("estimated_start", .time), .nullable("estimated_completion", .time),
  ]

  private static let history: [Member] = [
    .always("attempt_no", .integer), .always("try", .count), .always("tries_used", .count),
    .nullable("rerun_of", .id("job")), .nullable("rerun_reason", .string),
  ]

  private static let wishes: [Member] = [
    .always("type", .string, "the runner"), .nullable("command", .array(.string)), .nullable("payload", .object),
    .always("constraints", .reference("Constraints")), .always("inputs", .array(.reference("Input"))),
    .always("artifacts", .array(.string)), .always("env", .map(.string)), .always("labels", .map(.string)),
    .always("priority", priority), .always("ttl_seconds", .integer), .always("timeout_seconds", .integer),
    .always("max_tries", .integer), .always("retry_on", .array(.string)), .nullable("run_key", .string),
    .always("strict", .boolean), .nullable("not_before", .time), .sometimes("payment_amount", .number),
    .sometimes("payment_currency", .string),
  ]

  private static let outcome: [Member] = [
    .nullable("exit_code", .integer), .nullable("error", .string),
    .nullable("error_detail", .reference("ErrorDetail")), .nullable("cancel", .reference("Cancel")),
    .always("cost", .money), .always("result", .any), .always("results_available", .boolean),
    .nullable("pending_reason", .reference("PendingReason")),
    .nullable("queue_position", .integer, "1 is the next"),
    .sometimes("queue_position_is_minimum", .boolean, "counting stopped there"),
    .nullable("estimated_cost", .money), .nullable("estimated_time_seconds", .integer),
  ]
}
