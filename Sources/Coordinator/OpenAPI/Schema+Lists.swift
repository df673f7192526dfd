import JSON
import Marketplace

extension Schema {
  static let jobLists: [(String, Schema)] = [
    (
      "JobPage",
      .members([
        .always("jobs", .array(.reference("Job"))), .always("items", .array(.reference("Job")), "the same as `jobs`"),
        .always("total", .count, "all that match"), .always("has_more", .boolean), .nullable("next_cursor", .string),
        .always("limit", .integer), .always("offset", .count),
      ])
    ),
    ("JobExport", .members([.always("jobs", .array(.reference("Job"))), .always("total", .count)])),
    (
      "JobStatistics",
      .members([
        .always("submitted", .count), .always("by_status", .map(.count)),
        .nullable("success_rate", .number, "completed / (completed + failed + lost + expired)"),
        .nullable("average_completion_seconds", .number), .always("total_spent", .money),
      ])
    ),
    (
      "Queue",
      .members([
        .always(
          "jobs",
          .array(
            .members(
              job + [
                .nullable("position", .integer), .always("position_is_minimum", .boolean),
                .always("rank_class", priority),
              ]))), .always("total", .count), .always("has_more", .boolean), .nullable("next_cursor", .string),
      ])
    ),
    (
      "QueueMove",
      .members(
        [
          .always("job_id", .id("job")), .sometimes("before", .id("job")), .sometimes("after", .id("job")),
          .sometimes("top", .boolean), .sometimes("bottom", .boolean),
        ], isRequest: true, "One of `before`, `after`, `top`, `bottom`.")
    ),
    (
      "BulkCancel",
      .members(
        [
          .sometimes("ids", .array(.id("job"))), .sometimes("run_key", .string),
          .sometimes("status", wordOrWords), .sometimes("labels", .map(.string)), .sometimes("q", .string),
          .sometimes("from", .moment), .sometimes("to", .moment), .sometimes("all", .boolean),
          .sometimes("reason", .string), .sometimes("grace_seconds", .count), .sometimes("dry_run", .boolean),
          .sometimes("limit", .integer),
        ], isRequest: true, "`ids`, or `run_key`, or a filter.")
    ),
    (
      "BulkCancelAnswer",
      .members([
        .always("dry_run", .boolean), .always("matched", .count), .always("canceled", .count),
        .always("canceling", .count), .always("errors", .count), .always("has_more", .boolean),
        .always(
          "items",
          .array(
            .members([
              .always("job_id", .id("job")), .nullable("name", .string), .nullable("status", .reference("Status")),
              .always("outcome", .words(["canceled", "canceling", "already_ended", "not_found"])),
            ]))),
      ])
    ),
    (
      "Purge",
      .members(
        [
          .sometimes("before", .moment, "exclusive"), .sometimes("after", .moment, "inclusive"),
          .sometimes("status", wordOrWords), .sometimes("run_key", .string), .sometimes("all", .boolean),
          .sometimes("dry_run", .boolean), .sometimes("cursor", .string),
        ], isRequest: true)
    ),
    (
      "PurgeAnswer",
      .members([
        .always("deleted", .count), .always("errors", .count), .always("dry_run", .boolean),
        .always(
          "items",
          .array(
            .members([
              .always("job_id", .id("job")), .nullable("run_key", .string), .nullable("name", .string),
              .always("status", .reference("Status")), .at("selected_at"),
            ]))), .always("has_more", .boolean), .nullable("next_cursor", .string),
      ])
    ),
  ]

  private static let wordOrWords = Schema(
    json: ["anyOf": [["type": "string"], ["type": "array", "items": ["type": "string"]]]])

  static let attempts: [(String, Schema)] = [
    ("RerunRequest", .members([.sometimes("reason", .string)], isRequest: true)),
    (
      "Attempts",
      .members([.always("job_id", .id("job")), .nullable("run_key", .string)] + attemptPage)
    ),
    ("RunKey", .members(runKey)),
    ("RunKeyAttempts", .members(runKey + attemptPage)),
    ("Unlock", .members([.sometimes("ttl", .duration), .sometimes("reason", .string)], isRequest: true)),
  ]

  private static let attemptPage: [Member] = [
    .always("attempts", .array(.reference("Job")), "latest first"), .always("has_more", .boolean),
    .nullable("next_before", .integer),
  ]

  private static let runKey: [Member] = [
    .always("run_key", .string), .always("strict", .boolean), .always("latest_job_id", .id("job")),
    .always("latest_attempt", .integer),
    .nullable(
      "strict_override",
      .members([.at("allowed_at"), .at("expires_at", isNullable: true), .nullable("reason", .string)])),
  ]
}
