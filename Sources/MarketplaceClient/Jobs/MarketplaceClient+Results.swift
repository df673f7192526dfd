public import Cryptography
public import JSON
import Wire

extension MarketplaceClient {
  /// Path, size and SHA-256 of each artifact.
  public func artifacts(_ id: String) async throws -> JSONValue { try await get(path(id, "artifacts")) }

  /// The line of `output.sha256`.
  public func checksum(_ id: String) async throws -> String {
    String(decoding: try await transport.call(APIRequest(.get, path(id, "checksum"))).body, as: UTF8.self)
  }

  /// The bytes of `manifest.json` as they were signed.
  public func manifest(_ id: String) async throws -> [UInt8] {
    try await transport.call(APIRequest(.get, path(id, "manifest"))).body
  }

  /// The signed receipt of a job that was charged for; 404 for others. `Receipt.verify` checks it.
  public func receipt(_ id: String) async throws -> JSONValue { try await get(path(id, "receipt")) }

  /// The signed receipt; nil when the coordinator says that the job has none.
  public func receiptIfAny(_ id: String) async throws -> JSONValue? {
    do {
      return try await receipt(id)
    } catch ClientError.problem(let problem) where problem.code == "receipt_not_available" {
      return nil
    }
  }

  /// The public keys that sign results, those of the past too.
  public func signingKeys() async throws -> JSONValue { try await get(APIPath("keys")) }

  /// The result package, for ``ResumableDownload/fetch(to:expecting:mode:progress:)``.
  public func download(_ id: String) -> ResumableDownload { ResumableDownload(transport, from: path(id, "download")) }

  /// One artifact. `artifact` is its path with slashes.
  public func download(_ id: String, artifact: String) -> ResumableDownload {
    ResumableDownload(transport, from: path(id, "artifacts").appending(file: artifact))
  }

  /// A link to the result. `expires` like `7d`; nil: the coordinator's default.
  public func share(_ id: String, expires: String? = nil, maximumDownloads: Int64? = nil) async throws -> JSONValue {
    var body = JSONObject()
    if let expires { body.append("expires", .string(expires)) }
    if let maximumDownloads { body.append("max_downloads", .integer(maximumDownloads)) }
    return try await post(path(id, "share"), .object(body))
  }

  public func shares(_ id: String) async throws -> JSONValue { try await get(path(id, "shares")) }

  public func unshare(_ id: String, share: String) async throws {
    _ = try await transport.call(APIRequest(.delete, path(id, "shares", share)))
  }

  /// Removes a finished job's bytes; its row stays. The answer tells when they went.
  public func deleteResults(_ id: String) async throws -> JSONValue {
    try await transport.call(APIRequest(.delete, path(id, "results"))).json()
  }

  /// Removes the bytes of many; `filter` as `POST /v1/jobs:purge` takes it. Asks again until nothing is left of the
  /// selection.
  public func purge(_ filter: JSONValue) async throws -> PurgeAnswer {
    var body = filter.object ?? JSONObject()
    var sum = PurgeAnswer(isDryRun: body["dry_run"]?.bool ?? false)
    while true {
      let answer = try await post(APIPath("jobs:purge"), .object(body))
      sum.add(answer)
      guard answer["has_more"]?.bool == true, let cursor = answer["next_cursor"]?.string,
        cursor != body["cursor"]?.string
      else { return sum }
      body["cursor"] = .string(cursor)
    }
  }

  public enum ExportFormat: String, Sendable { case json, csv }

  /// Every job of the account that the filter lets through, as a stream of bytes. The filter's `limit` and `cursor` are
  /// not used.
  public func export(_ format: ExportFormat, _ filter: JobFilter = JobFilter()) async throws -> StreamedAnswer {
    var filter = filter
    filter.limit = nil
    filter.cursor = nil
    let path = APIPath("jobs", "export", query: [("format", format.rawValue)] + filter.query)
    let answer = try await transport.open(APIRequest(.get, path))
    guard answer.status < 300 else { throw await transport.error(of: answer) }
    return answer
  }
}

extension MarketplaceClient {
  /// Makes sure that the coordinator has a file's bytes, sending what it lacks. `digest` is what ``FileDigest`` said.
  @discardableResult
  public func upload(
    blob file: String, digest: FileDigest, progress: (@Sendable (Int64) -> Void)? = nil
  ) async throws -> ResumableUpload.Outcome {
    try await ResumableUpload(transport, to: APIPath("blobs", digest.sha256.hex))
      .send(file, digest: digest, progress: progress)
  }

  /// A blob by its digest; `headers` for a lease token.
  public func download(blob sha256: SHA256Digest, headers: [(name: String, value: String)] = []) -> ResumableDownload {
    ResumableDownload(transport, from: APIPath("blobs", sha256.hex), headers: headers)
  }
}

extension MarketplaceClient {
  /// What `/readyz` says: the status, and the headers for the coordinator's clock and version.
  public func readiness() async throws -> APIAnswer {
    try await transport.call(APIRequest(.get, .root("readyz")), accepting: [503])
  }

  /// What `/v1/health` says.
  public func health() async throws -> JSONValue { try await get(APIPath("health")) }

  /// Plan, quota and spend.
  public func account() async throws -> JSONValue { try await get(APIPath("account")) }

  /// The public facts of the fleet.
  public func miners() async throws -> JSONValue { try await get(APIPath("miners")) }
}
