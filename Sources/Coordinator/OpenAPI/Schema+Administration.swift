import JSON
import Marketplace

extension Schema {
  static let administration: [(String, Schema)] = [
    (
      "Plans",
      .members([
        .always(
          "plans",
          .array(
            .members([
              .always("plan", plan), .always("retention_days", .integer), .always("weight", .integer),
              .always("active_jobs_limit", .integer), .always("storage_bytes_limit", .integer),
            ])))
      ])
    ),
    ("NewAccount", .members([.always("name", .string), .sometimes("plan", plan)], isRequest: true)),
    ("PlanChange", .members([.always("plan", plan)], isRequest: true)),
    (
      "Accounts",
      .members([
        .always("accounts", .array(.reference("Account"))), .always("has_more", .boolean),
        .nullable("next_cursor", .string),
      ])
    ),
    (
      "AccountFigures",
      .members(account + [.always("quota", .reference("Quota")), .always("spend", .reference("Spend"))])
    ),
    (
      "NewKey",
      .members(
        [
          .always("account", .string, "its id or name"), .always("role", role), .sometimes("name", .string),
        ], isRequest: true)
    ),
    ("APIKey", .members(key)),
    ("APIKeys", .members([.always("keys", .array(.reference("APIKey")))])),
    ("CreatedKey", .members(key + [.always("api_key", .string, "stands here and nowhere else")])),
    ("FleetMember", .members(fleetMember)),
    ("FleetMembers", .members([.always("miners", .array(.reference("FleetMember")))])),
    (
      "MinerRemoved",
      .members([
        .always("miner_id", .id("miner")), .always("removed", .constant(true)), .always("jobs_taken_away", .count),
      ])
    ),
    (
      "MarketStatistics",
      .members([
        .always("jobs", .map(.count), "by status"), .always("accounts", .count),
        .always("miners", .map(.count), "by status"), .always("fees", .money), .always("fee_percent", .string),
      ])
    ),
    (
      "LedgerReport",
      .members([
        .always("balanced", .boolean), .always("lines", .count), .always("sum", .money), .always("charged", .money),
        .always(
          "faults",
          .array(
            .members([.always("job_id", .string), .always("kind", .string), .always("sum", .money)]))),
        .always("wrong_balances", .array(.string)),
      ])
    ),
  ]

  private static let role = Schema.words(["client", "miner", "admin"])

  private static let key: [Member] = [
    .always("key_id", .string), .always("account_id", .id("acct")), .always("role", role),
    .nullable("name", .string), .at("created_at"), .at("revoked_at", isNullable: true),
  ]

  private static let fleetMember: [Member] =
    miner + [
      .always("account_id", .id("acct")), .always("protocol", .words(["rest", "channel"])),
      .always("draining", .boolean), .always("held", .count), .always("earned", .money), .at("registered_at"),
    ]
}
