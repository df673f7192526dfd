extension Operation {
  static let jobs: [Operation] = [
    Operation(
      "POST", "/v1/jobs", "Jobs", "Submit a job",
      with: [.query("dry_run", .boolean, "tell who could run it and the price; store nothing"), .idempotencyKey],
      body: "Submission",
      [
        .json("SubmittedJob", "It is durable.", status: 201, headers: ["Idempotent-Replay"]),
        Answer(
          status: 200, note: "A run key stood for it already, or it was a dry run.", type: "application/json",
          schema: .oneOf([.reference("SubmittedJob"), .reference("DryRun")]), headers: ["Idempotent-Replay"]),
      ], problems: [409, 507]),
    Operation(
      "POST", "/v1/jobs:batch", "Jobs", "Submit up to 1,000 jobs in one durable commit",
      with: [
        .idempotencyKey,
        .header("Prefer", "`return=minimal`: of each job only `job_id, status, attempt_no, existing, accepted`"),
      ],
      body: "BatchSubmission",
      [.json("BatchAnswer", "All are durable.", status: 201, headers: ["Idempotent-Replay", "Preference-Applied"])],
      problems: [409, 507]),
    Operation("GET", "/v1/jobs/{id}", "Jobs", "One job", [.json("Job", "As it stands now.")], problems: [404]),
    Operation(
      "PATCH", "/v1/jobs/{id}", "Queue", "Another priority for a pending job", with: [.idempotencyKey],
      body: "PriorityChange",
      [.json("Job", "It has a new place.")], problems: [404, 409]),
    Operation(
      "DELETE", "/v1/jobs/{id}", "Jobs", "Cancel an active job", with: [.idempotencyKey],
      [
        .json("Job", "Its miner is told; a pending job is canceled.", status: 202),
        .json("Job", "It was canceling already.", status: 200),
      ], problems: [404, 409]),
    Operation(
      "POST", "/v1/jobs/{id}/cancel", "Jobs", "Cancel a job", with: [.idempotencyKey], body: "CancelRequest",
      isBodyNeeded: false,
      [
        .json("Job", "Its miner is told; a pending job is canceled.", status: 202),
        .json("Job", "It was canceling already.", status: 200),
      ], problems: [404, 409]),
    Operation(
      "POST", "/v1/jobs:cancel", "Jobs", "Cancel many", with: [.idempotencyKey], body: "BulkCancel",
      [.json("BulkCancelAnswer", "What became of each, or would become.")]),
    Operation(
      "GET", "/v1/jobs/{id}/tries", "Jobs", "Every try of a job", [.json("Tries", "Oldest first.")], problems: [404]),
    Operation(
      "GET", "/v1/jobs/{id}/logs", "Jobs", "What it wrote",
      with: [
        .query("stream", .words(["stdout", "stderr"]), "stdout"), .query("try", .integer, "the latest"),
        .query("offset", .count, "the first byte; 0"), .query("tail", .count, "the last lines"),
        .query("follow", .boolean, "go on until the try ends"),
      ],
      [
        .bytes(
          "text/plain", "The bytes as they were written.",
          headers: ["X-Log-Try", "X-Log-Offset", "X-Log-Length", "X-Log-Complete", "X-Log-Sha256"])
      ], problems: [404, 410, 416, 422]),
    socket("/v1/jobs/ws", "The account's live feed, or the market's without a key", key: .optional),
    socket("/v1/jobs/{id}/ws", "One job's live feed", key: .client),
  ]

  /// Without an upgrade it is an error that says so.
  static func socket(_ path: String, _ summary: String, key: Key) -> Operation {
    Operation(
      "GET", path, "WebSocket", summary, key: key,
      with: [
        .query("after", .count, "resume after this sequence number"),
        .query("epoch", .string, "the history that the number is of"),
      ], [.empty(101, "A WebSocket (RFC 6455, RFC 7692).")], problems: [403, 404, 422, 426])
  }

  private static let filters: [Parameter] = [
    .query("status", .string, "states in any of their words, with commas or repeated"),
    .query("label", .string, "`name=value`; may be repeated"), .query("q", .string, "part of name, id or run key"),
    .query("days", .integer, "made in the last so many days"), .query("from", .string, "a date or RFC 3339 time"),
    .query("to", .string, "the same; a date counts to its end"),
    .query("sort", .words(["-created_at", "created_at", "-completed_at", "completed_at"]), "`-created_at`"),
  ]
  private static let page: [Parameter] = [.limit, .cursor, .query("offset", .count, "skip so many")]

  static let lists: [Operation] = [
    Operation(
      "GET", "/v1/jobs", "Jobs", "List jobs", with: filters + page, [.json("JobPage", "One page.", headers: ["Link"])],
      problems: [422]),
    Operation(
      "GET", "/v1/jobs/history", "Jobs", "The same list", with: filters + page,
      [.json("JobPage", "One page.", headers: ["Link"])], problems: [422]),
    Operation(
      "GET", "/v1/jobs/export", "Jobs", "All jobs as a file",
      with: filters + [.query("format", .words(["json", "csv"]), "json")],
      [.json("JobExport", "Streamed; with `format=csv` it is `text/csv`.")], problems: [422]),
    Operation(
      "GET", "/v1/jobs/stats", "Jobs", "Figures", [.json("JobStatistics", "Of the account.")], problems: [422]),
    Operation(
      "POST", "/v1/jobs:purge", "Results", "Remove the results of many jobs", with: [.idempotencyKey], body: "Purge",
      [.json("PurgeAnswer", "What was removed, or would be.")], problems: [404]),
  ]

  static let attempts: [Operation] = [
    Operation(
      "POST", "/v1/jobs/{id}/rerun", "Attempts", "Run a job again", with: [.idempotencyKey], body: "RerunRequest",
      isBodyNeeded: false, [.json("SubmittedJob", "The new job.", status: 201, headers: ["Idempotent-Replay"])],
      problems: [404, 409, 507]),
    Operation(
      "GET", "/v1/jobs/{id}/attempts", "Attempts", "Every attempt of a job's chain", with: attemptPage,
      [.json("Attempts", "Latest first.")], problems: [404, 422]),
    Operation(
      "GET", "/v1/run-keys/{key}", "Attempts", "A run key and its attempts", with: attemptPage,
      [.json("RunKeyAttempts", "Latest first.")], problems: [404, 422]),
    Operation(
      "POST", "/v1/run-keys/{key}/unlock", "Attempts", "Leave for one more run of a strict key",
      with: [.idempotencyKey],
      body: "Unlock", isBodyNeeded: false, [.json("RunKey", "It may be used once.", headers: ["Idempotent-Replay"])],
      problems: [404, 409]),
  ]

  private static let attemptPage: [Parameter] = [
    .limit, .query("before", .integer, "attempts with lower numbers, from `next_before`"),
  ]

  static let queue: [Operation] = [
    Operation(
      "GET", "/v1/queue", "Queue", "The account's pending jobs, first in the queue first", with: [.limit, .cursor],
      [.json("Queue", "One page.", headers: ["Link"])], problems: [422]),
    Operation(
      "POST", "/v1/queue/move", "Queue", "Move a pending job among those of its priority", with: [.idempotencyKey],
      body: "QueueMove",
      [.json("Job", "It has its new place.")], problems: [404, 409]),
  ]
}
