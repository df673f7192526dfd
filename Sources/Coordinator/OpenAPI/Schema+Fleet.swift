import JSON
import Marketplace

extension Schema {
  static let fleet: [(String, Schema)] = [
    ("Health", .members([.always("status", .constant("ok"))])),
    ("Readiness", .members([.always("status", .constant("ready"))])),
    (
      "CoordinatorHealth",
      .members([
        .always("status", .words(["ok", "degraded"])), .always("version", .string),
        .always(
          "disk",
          .members([
            .always("free_bytes", .count), .always("floor_bytes", .count), .always("reserve_bytes", .count),
            .always("reserve_spent", .boolean), .always("takes_new_work", .boolean),
          ])),
      ])
    ),
    ("Miner", .members(miner)),
    ("Miners", .members([.always("miners", .array(.reference("Miner")))])),
    (
      "Earnings",
      .members([
        .always("miner_id", .id("miner")), .always("name", .string), .always("earned", .money),
        .always("paid_jobs", .count),
      ])
    ),
    ("Account", .members(account)),
    (
      "OwnAccount",
      .members(
        account + [
          .sometimes("quota", .reference("Quota"), "not for a miner's key"),
          .sometimes("spend", .reference("Spend"), "not for a miner's key"),
          .sometimes("earnings", .array(.reference("Earnings")), "for a miner's key"),
        ])
    ),
    (
      "Quota",
      .members([
        .always("pending_jobs", .count), .always("active_jobs", .count), .always("active_jobs_limit", .count),
        .always("storage_bytes", .count), .always("storage_bytes_limit", .count),
      ])
    ),
    (
      "Spend",
      .members([.always("total", .money), .always("charged_jobs", .count), .always("balance", .money)])
    ),
  ]

  static let account: [Member] = [
    .always("account_id", .id("acct")), .always("name", .string), .always("plan", plan),
    .always("retention_days", .integer), .at("created_at"),
  ]

  static let plan = Schema.words(Plan.allCases.map(\.rawValue))

  static let miner: [Member] = [
    .always("miner_id", .id("miner")), .always("name", .string),
    .always("status", .words(["online", "busy", "draining", "offline"])), .always("slots", .count),
    .always("running", .count),
    .always("gpus", .array(.members([.always("name", .string), .always("memory_mb", .count)]))),
    .always("runners", .array(.string)), .always("labels", .map(.string)), .nullable("region", .string),
    .always("price", .money, "per GPU-hour"), .always("version", .string), .nullable("public_key", .string),
    .at("last_heartbeat_at"),
  ]

  /// AITBC's miner protocol.
  static let restMiners: [(String, Schema)] = [
    (
      "Registration",
      .members(
        [
          .sometimes("capabilities", .object, "`gpus`, `gpu`, `models`, `cuda`, `price`, `labels`, … and more"),
          .sometimes("concurrency", .integer, "slots; 1"), .sometimes("region", .string), .sometimes("name", .string),
          .sometimes("version", .string), .sometimes("fresh", .boolean, "it runs nothing of what it held"),
        ], isRequest: true)
    ),
    ("SignOfLife", .members(signOfLife)),
    (
      "Registered",
      .members(
        signOfLife + [
          .always("session_token", .string, "the public id, to be sent as `X-Miner-ID`"),
          .always("miner_id", .id("miner")), .always("name", .string),
        ])
    ),
    (
      "Heartbeat",
      .members(
        [
          .sometimes("lease_tokens", .array(.string), "the leases to renew; all without it"),
          .sometimes("inflight", .any), .sometimes("status", .any), .sometimes("metadata", .any),
          .sometimes("metrics", .any),
        ], isRequest: true)
    ),
    ("Poll", .members([.sometimes("max_wait_seconds", .count, "15; 60 at most")], isRequest: true)),
    (
      "Assignment",
      .members([
        .always("job_id", .id("job")), .always("payload", .object),
        .always("constraints", .object, "as in a job; AITBC's six are null where nothing is asked"),
        .always("lease_token", .string), .always("lease_seconds", .integer), .always("try", .integer),
        .always("attempt_no", .integer), .always("timeout_seconds", .integer), .nullable("command", .array(.string)),
        .always("env", .map(.string)), .always("inputs", .array(.reference("Input"))),
      ])
    ),
    (
      "MinerResult",
      .members(
        [
          .always("result", .object), .sometimes("metrics", .object), .sometimes("lease_token", .string),
        ], isRequest: true, "The lease's token stands here or in `X-Lease-Token`.")
    ),
    (
      "MinerFailure",
      .members(
        [
          .sometimes("error_code", .string), .sometimes("error_message", .string), .sometimes("exit_code", .integer),
          .sometimes("metrics", .object), .sometimes("lease_token", .string),
        ], isRequest: true, "The lease's token stands here or in `X-Lease-Token`.")
    ),
    (
      "Settled",
      .members([
        .always("status", .constant("ok")), .always("job_id", .id("job")),
        .always("job_status", .reference("Status")), .nullable("receipt", .reference("Receipt")),
      ])
    ),
  ]

  private static let signOfLife: [Member] = [
    .always("status", .constant("ok")), .always("renewed", .array(.id("job"))),
    .always("cancel", .array(.id("job")), "to be stopped"), .always("lost", .array(.id("job")), "no longer its own"),
    .always("inflight", .count), .always("lease_seconds", .integer), .always("draining", .boolean),
  ]
}
