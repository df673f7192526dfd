import JSON
import Marketplace

extension Schema {
  /// What `POST /v1/jobs` takes: a program, AITBC's payload, or the guide's model.
  static let submissions: [(String, Schema)] = [
    (
      "Submission",
      .oneOf([.reference("CommandSubmission"), .reference("PayloadSubmission"), .reference("ModelSubmission")])
    ),
    (
      "CommandSubmission",
      .members(
        [.always("command", .array(.string), "the program and its arguments"), constraintsWish] + options,
        isRequest: true)
    ),
    (
      "PayloadSubmission",
      .members(
        [
          .always(
            "payload",
            Schema(
              json: [
                "type": "object", "required": ["type"],
                "properties": ["type": ["type": "string", "description": "the runner"]],
              ])), constraintsWish,
        ] + options, isRequest: true)
    ),
    (
      "ModelSubmission",
      .members(
        [
          .always("model", .string), .sometimes("input", .any), .sometimes("prompt", .any),
          .sometimes("output_config", .any),
          .sometimes(
            "requirements",
            .members(
              [
                .sometimes("gpu_type", .string), .sometimes("gpu_count", .integer),
                .sometimes("min_vram_gb", .integer),
              ], isRequest: true)), constraintsWish,
        ] + options, isRequest: true)
    ),
    ("BatchSubmission", .members([.always("jobs", .array(.reference("Submission")))], isRequest: true)),
    (
      "BatchAnswer",
      .members([
        .always("jobs", .array(.anyOf([.reference("SubmittedJob"), .reference("JobReceipt")]))),
        .always("accepted", .count), .always("existing", .count),
      ])
    ),
    (
      "JobReceipt",
      .members([
        .always("job_id", .string), .always("status", .string), .always("attempt_no", .count),
        .always("existing", .boolean), .always("accepted", .boolean),
      ])
    ),
    (
      "DryRun",
      .members([
        .always("dry_run", .constant(true)), .always("could_run", .boolean), .always("fitting_miners", .count),
        .always(
          "miners",
          .array(
            .members([
              .always("miner_id", .id("miner")), .always("name", .string), .always("price", .money),
              .always("status", .string),
            ])), "the first 20 that fit"),
        .always("price", .money, "per GPU-hour"), .nullable("estimated_cost", .money),
        .nullable("estimated_time_seconds", .integer), .nullable("pending_reason", .reference("PendingReason")),
        .always("job", .object, "the specification as it was read; defaults are left out"),
      ])
    ),
    (
      "CancelRequest",
      .members([.sometimes("reason", .string), .sometimes("grace_seconds", .count)], isRequest: true)
    ),
    ("PriorityChange", .members([.always("priority", priority)], isRequest: true)),
  ]

  private static let constraintsWish = Member.sometimes("constraints", .members(constraints, isRequest: true))

  private static let options: [Member] = [
    .sometimes("name", .string), .sometimes("env", .map(.string)),
    .sometimes(
      "inputs",
      .array(
        .members(
          [
            .always("path", .string), .always("sha256", .sha256, "a blob that was uploaded"),
            .sometimes("executable", .boolean),
          ], isRequest: true))), .sometimes("artifacts", .array(.string)), .sometimes("priority", priority),
    .sometimes("ttl_seconds", .duration, "time in the queue; 900"),
    .sometimes("timeout_seconds", .duration, "time to run; 3600"), .sometimes("max_tries", .integer, "3"),
    .sometimes("retry_on", .array(.words(JobErrorCode.retriable.map(\.rawValue)))), .sometimes("run_key", .string),
    .sometimes("strict", .boolean), .sometimes("not_before", .moment), .sometimes("labels", .map(.string)),
    .sometimes("fail_fast", .boolean, "fail when no connected miner could ever run it"),
    .sometimes("payment_amount", .number, "echoed; nothing is escrowed"), .sometimes("payment_currency", .string),
  ]
}
