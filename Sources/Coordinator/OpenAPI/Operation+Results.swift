extension Operation {
  private static let fileHeaders = ["ETag", "Repr-Digest", "Accept-Ranges", "X-Checksum-Sha256", "Content-Disposition"]
  private static let conditions: [Parameter] = [
    .header("Range", "`bytes=A-B`; one range"), .header("If-Range", "the `ETag` that the range is of"),
    .header("If-None-Match", "304 when it is this one"), .header("If-Match", "412 when it is not this one"),
  ]

  /// A file: whole, in part, or not again.
  private static func file(_ type: String, _ note: String) -> [Answer] {
    [
      .bytes(type, note, headers: fileHeaders),
      .bytes(type, "The range.", status: 206, headers: fileHeaders + ["Content-Range"]),
      .empty(304, "It is what `If-None-Match` names."),
    ]
  }

  static let results: [Operation] = [
    Operation(
      "GET", "/v1/jobs/{id}/result", "Results", "The result",
      [.json("Result", "`result` is null when it ended without one.")], problems: ended),
    Operation(
      "GET", "/v1/jobs/{id}/download", "Results", "The package", with: conditions,
      file("application/zip", "The archive."),
      problems: ended + [412, 416]),
    Operation(
      "GET", "/v1/jobs/{id}/checksum", "Results", "The package's digest, for `sha256sum -c`",
      [.bytes("text/plain", "`<64 hex>  output.zip`")], problems: ended),
    Operation(
      "GET", "/v1/jobs/{id}/manifest", "Results", "The signed manifest", [.json("Manifest", "As in the package.")],
      problems: ended),
    Operation(
      "GET", "/v1/jobs/{id}/artifacts", "Results", "The files it left", [.json("Artifacts", "In order of path.")],
      problems: ended),
    Operation(
      "GET", "/v1/jobs/{id}/artifacts/**", "Results", "One of them", with: conditions,
      file("application/octet-stream", "The file."), problems: ended + [412, 416]),
    Operation(
      "DELETE", "/v1/jobs/{id}/results", "Results", "Remove a finished job's results; the job stays",
      [.json("ResultsRemoved", "They are gone.")], problems: [404, 409]),
    Operation(
      "GET", "/v1/jobs/{id}/receipt", "Results", "The signed receipt of what it cost",
      [.json("Receipt", "The same at any time.")], problems: [404]),
    Operation(
      "GET", "/v1/jobs/{id}/receipts", "Results", "The same as a list", [.json("Receipts", "None or one.")],
      problems: [404]),
  ]

  private static let ended = [404, 410, 425]

  static let shares: [Operation] =
    [
      Operation(
        "POST", "/v1/jobs/{id}/share", "Shares", "Make a link to a result", with: [.idempotencyKey],
        body: "ShareRequest", isBodyNeeded: false,
        [.json("NewShare", "The link.", status: 201)], problems: [404, 409, 410, 425]),
      Operation(
        "GET", "/v1/jobs/{id}/shares", "Shares", "A job's links", [.json("Shares", "Oldest first.")], problems: [404]),
      Operation(
        "DELETE", "/v1/jobs/{id}/shares/{share}", "Shares", "Take a link back", with: [.idempotencyKey],
        [.empty(204, "It opens nothing more.")],
        problems: [404]),
    ] + opened("/share/{token}") + opened("/v1/share/{token}")

  /// What a link opens. Browsers get pages where programs get JSON.
  private static func opened(_ path: String) -> [Operation] {
    [
      Operation(
        "GET", path, "Shares", "What a link opens", key: .none,
        [.json("SharedResult", "For programs; a page when `Accept` names `text/html`.")], problems: [404, 410]),
      Operation(
        "GET", path + "/download", "Shares", "The package", key: .none, with: conditions,
        file("application/zip", "The archive; counted."), problems: [404, 410, 412, 416]),
      Operation(
        "GET", path + "/checksum", "Shares", "Its digest, for `sha256sum -c`", key: .none,
        [.bytes("text/plain", "`<64 hex>  output.zip`")], problems: [404, 410]),
      Operation(
        "GET", path + "/manifest", "Shares", "The signed manifest", key: .none,
        [.json("Manifest", "As in the package.")],
        problems: [404, 410]),
      Operation(
        "GET", path + "/artifacts", "Shares", "The files it left", key: .none,
        [.json("Artifacts", "In order of path.")],
        problems: [404, 410]),
      Operation(
        "GET", path + "/artifacts/**", "Shares", "One of them", key: .none, with: conditions,
        file("application/octet-stream", "The file; counted."), problems: [404, 410, 412, 416]),
    ]
  }

  private static let part: Parameter = .header(
    "Content-Range", "`bytes A-B/TOTAL` appends from A; else it is the whole")
  private static let offset = ["Upload-Offset"]

  static let uploads: [Operation] = [
    Operation(
      "GET", "/v1/blobs/{sha256}", "Inputs", "An input's content", key: .any, with: conditions,
      file("application/octet-stream", "The bytes."), problems: [404, 412, 416, 422]),
    Operation(
      "HEAD", "/v1/blobs/{sha256}", "Inputs", "How much of an input is here",
      [.empty(200, "All of it.", headers: offset)], problems: [404, 422]),
    Operation(
      "PUT", "/v1/blobs/{sha256}", "Inputs", "Upload an input; it may be cut and go on", with: [part], body: "bytes",
      bodyType: "application/octet-stream", uploaded, problems: [409, 411, 413, 422, 507]),
    Operation(
      "HEAD", "/v1/leases/{token}/artifacts/**", "Miners", "How much of an artifact is here", key: .miner,
      with: [.header("Repr-Digest", "`sha-256=:BASE64:` of the whole")], [.empty(200, "All of it.", headers: offset)],
      problems: [404, 409, 422]),
    Operation(
      "PUT", "/v1/leases/{token}/artifacts/**", "Miners", "Upload an artifact under a lease", key: .miner,
      with: [.header("Repr-Digest", "`sha-256=:BASE64:` of the whole"), part], body: "bytes",
      bodyType: "application/octet-stream", uploaded, problems: [409, 411, 413, 422, 507]),
  ]

  private static let uploaded: [Answer] = [
    .empty(201, "It is whole, and its digest is right.", headers: offset),
    .empty(200, "It was here already.", headers: offset), .empty(202, "More is to come.", headers: offset),
  ]
}
