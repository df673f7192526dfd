import JSON
import Marketplace

extension Schema {
  static let results: [(String, Schema)] = [
    (
      "Log",
      .members([.always("length", .count), .always("sha256", .string, "empty when it was cut off with its miner")])
    ),
    (
      "Try",
      .members([
        .always("try", .integer), .always("miner_id", .id("miner")),
        .always("state", .string, "`held` while the miner has it"), .at("claimed_at"),
        .at("started_at", isNullable: true), .at("ended_at", isNullable: true), .nullable("exit_code", .integer),
        .nullable("error", .string), .nullable("error_detail", .reference("ErrorDetail")),
        .nullable("usage", .object, "as its miner measured it"), .nullable("stdout", .reference("Log")),
        .nullable("stderr", .reference("Log")),
      ])
    ),
    (
      "Tries",
      .members([
        .always("job_id", .id("job")), .always("tries", .array(.reference("Try"))),
        .always(
          "refused_reports",
          .array(
            .members([
              .always("try", .integer), .always("miner_id", .id("miner")), .always("what", .string),
              .always("sha256", .sha256), .always("reason", .string), .always("count", .integer), .at("first_at"),
              .at("last_at"),
            ])), "reports under a lease that was over"),
      ])
    ),
    (
      "Result",
      .members([
        .always("job_id", .id("job")), .always("status", .reference("Status")), .always("state", .reference("State")),
        .always("result", .any), .nullable("receipt", .reference("Receipt")), .nullable("exit_code", .integer),
        .nullable("error", .string), .nullable("error_detail", .reference("ErrorDetail")),
      ])
    ),
    (
      "Receipt",
      .members([
        .always("version", .constant("1.0")), .always("receipt_id", .string), .always("job_id", .id("job")),
        .always("try", .integer), .always("provider", .id("miner")), .always("client", .id("acct")),
        .always("status", .words(["completed", "canceled"])), .always("units", .count),
        .always("unit_type", .constant("gpu_milliseconds")), .always("unit_price", .money),
        .always("priority", priority), .always("price", .money), .always("fee", .money), .at("started_at"),
        .at("completed_at"),
        .always(
          "signature",
          .members([
            .always("alg", .constant("Ed25519")), .always("key_id", .string), .always("sig", .string),
          ]), "over the canonical form of the other members"),
      ])
    ),
    ("Receipts", .members([.always("items", .array(.reference("Receipt")))])),
    (
      "Artifacts",
      .members([.always("job_id", .id("job")), .always("artifacts", .array(.reference("Artifact")))])
    ),
    ("Artifact", .members([.always("path", .string), .always("size", .count), .always("sha256", .sha256)])),
    (
      "Manifest",
      .members(
        [
          .always("version", .integer), .always("job_id", .id("job")),
          .always("entries", .array(.reference("Artifact")), "every other file of the package"),
          .always("signatures", .array(.object)),
        ], "The bytes are canonical JSON and are what `manifest.json` of the package holds.")
    ),
    (
      "ResultsRemoved",
      .members([
        .always("job_id", .id("job")), .always("results_available", .constant(false)), .always("errors", .count),
        .at("results_purged_at"),
      ])
    ),
    (
      "SigningKeys",
      .members([
        .always(
          "keys",
          .array(
            .members([
              .always("key_id", .string), .always("alg", .constant("Ed25519")),
              .always("public_key", .string, "base64url"), .always("use", .constant("coordinator")),
              .always("active", .boolean), .sometimes("valid_until", .time), .sometimes("valid_until_unix", .integer),
            ])), "the one that signs now comes first")
      ])
    ),
  ]

  static let shares: [(String, Schema)] = [
    (
      "ShareRequest",
      .members(
        [
          .sometimes("expires", .duration, "7 days; never past the result's own time"),
          .sometimes("max_downloads", .integer),
        ], isRequest: true)
    ),
    ("Share", .members(share)),
    (
      "NewShare",
      .members(
        [.always("url", .string), .always("token", .string, "stands here and nowhere else")] + share)
    ),
    ("Shares", .members([.always("job_id", .id("job")), .always("shares", .array(.reference("Share")))])),
    (
      "SharedResult",
      .members([
        .always("job_id", .id("job")), .always("name", .string), .always("status", .reference("Status")),
        .always("state", .reference("State")), .at("completed_at"), .at("expires_at"),
        .nullable("downloads_left", .integer), .always("size", .count), .always("sha256", .sha256),
        .always("download_url", .string), .always("checksum_url", .string), .always("manifest_url", .string),
        .always("file_count", .count),
        .always(
          "files",
          .array(
            .members([
              .always("path", .string), .always("size", .count), .always("sha256", .sha256),
              .nullable("url", .string),
            ])), "at most 1,000; the manifest has all"),
      ])
    ),
  ]

  private static let share: [Member] = [
    .always("share_id", .id("share")), .always("job_id", .id("job")),
    .always("state", .words(["active", "expired", "used_up"])), .nullable("max_downloads", .integer),
    .always("downloads", .count), .at("created_at"), .at("expires_at"),
  ]
}
