import Clocks
import Cryptography
import HTTPTypes
import Hummingbird
import JSON
import Marketplace
import Store
import Wire

/// What a job left: result, package, checksum, manifest, artifacts.
struct ResultRoutes {
  let market: Market

  func add(to router: Router<AppContext>) {
    router.get("/v1/jobs/:id/result") { request, context in try await result(request, context) }
    for method in [HTTPRequest.Method.get, .head] {
      router.on("/v1/jobs/:id/download", method: method) { request, context in try await download(request, context) }
      router.on("/v1/jobs/:id/artifacts/**", method: method) { request, context in
        try await artifact(request, context)
      }
    }
    router.get("/v1/jobs/:id/checksum") { request, context in try await checksum(request, context) }
    router.get("/v1/jobs/:id/manifest") { request, context in try await manifest(request, context) }
    router.get("/v1/jobs/:id/artifacts") { request, context in try await artifacts(request, context) }
  }

  /// The finished job, or 425 while it is not finished, or 410 after its result was removed.
  private func finishedJob(_ request: Request, _ context: AppContext) async throws -> Job {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    let id = try market.jobID(context)
    let job = try await market.store.read { try $0.ownJob(id, of: identity.account) }
    return try Self.checkFinished(job, at: market.clock.now)
  }

  static func checkFinished(_ job: Job, at now: Timestamp) throws(MarketError) -> Job {
    guard job.state.isTerminal else { throw .notFinished(job.state) }
    if let gone = job.resultsGone(at: now) { throw .resultsGone(gone) }
    return job
  }

  private func result(_ request: Request, _ context: AppContext) async throws -> Response {
    let job = try await finishedJob(request, context)
    let receipt = try await market.store.read { try $0.receipt(of: job) }
    return .json([
      "job_id": .string(job.id.rawValue), "status": .string(job.state.rawValue),
      "state": .string(job.state.aitbcWord), "result": job.result ?? .null,
      "receipt": try market.signedReceipt(receipt),
      "exit_code": JSONValue(job.exitCode), "error": JSONValue(job.error?.text),
      "error_detail": job.error?.json ?? .null,
    ])
  }

  private func download(_ request: Request, _ context: AppContext) async throws -> Response {
    try await package(of: try await finishedJob(request, context), request, context)
  }

  private func checksum(_ request: Request, _ context: AppContext) async throws -> Response {
    try await checksum(of: try await finishedJob(request, context))
  }

  private func manifest(_ request: Request, _ context: AppContext) async throws -> Response {
    try await manifest(of: try await finishedJob(request, context))
  }

  private func artifacts(_ request: Request, _ context: AppContext) async throws -> Response {
    try await artifacts(of: try await finishedJob(request, context))
  }

  private func artifact(_ request: Request, _ context: AppContext) async throws -> Response {
    try await artifact(context.parameters.path, of: try await finishedJob(request, context), request, context)
  }
}

/// What is the same for a job's owner and for those the owner shares it with. The job has ended and its results are here.
extension ResultRoutes {
  func package(of job: Job, _ request: Request, _ context: AppContext) async throws -> Response {
    let package = try await market.packages.package(of: job.id)
    let file = try await market.resultFile(of: job.id) { try $0.readPackage(job.id) }
    return try FileResponse(
      size: package.size, sha256: package.sha256, digest: try Self.digest(package.sha256).base64,
      type: "application/zip",
      name: "output.zip", content: .file(file, offset: 0)
    ).respond(to: request, over: context.channel, blocking: market.blocking)
  }

  func checksum(of job: Job) async throws -> Response {
    let package = try await market.packages.package(of: job.id)
    return .raw(
      Array("\(package.sha256)  output.zip\n".utf8), type: "text/plain; charset=utf-8",
      headers: [.contentDisposition: "attachment; filename=\"output.sha256\""])
  }

  func manifest(of job: Job) async throws -> Response {
    _ = try await market.packages.package(of: job.id)
    let manifest = try await market.whileHere(job.id) { try await market.results.manifest(job.id) }
    return .raw(manifest, type: "application/json")
  }

  func artifacts(of job: Job) async throws -> Response {
    let artifacts = try await market.store.read { try $0.artifacts(of: job.id, tryNumber: job.lastTry) }
    return .json([
      "job_id": .string(job.id.rawValue),
      "artifacts": .array(
        artifacts.map { ["path": .string($0.path), "size": .integer($0.size), "sha256": .string($0.sha256)] }),
    ])
  }

  func artifact(
    _ path: String, of job: Job, _ request: Request, _ context: AppContext
  ) async throws -> Response {
    let artifact = try await market.store.read {
      try $0.artifact(of: job.id, tryNumber: job.lastTry, path: path)
    }
    guard let artifact else { throw Problem.notFound("artifact") }
    let content = try await market.whileHere(job.id) { try await market.results.artifact(artifact) }
    let name = path.split(separator: "/").last.map(String.init) ?? "artifact"
    return try FileResponse(
      size: artifact.size, sha256: artifact.sha256, digest: try Self.digest(artifact.sha256).base64,
      type: "application/octet-stream", name: Self.headerSafe(name), content: content
    ).respond(to: request, over: context.channel, blocking: market.blocking)
  }

  /// Letters that can stand in a quoted header value; others become `_`.
  private static func headerSafe(_ name: String) -> String {
    let isSafe = { (byte: UInt8) in byte >= 32 && byte < 127 && byte != 34 && byte != 92 }
    return String(decoding: name.utf8.map { isSafe($0) ? $0 : 95 }, as: UTF8.self)
  }

  static func digest(_ hex: String) throws -> SHA256Digest {
    guard let digest = SHA256Digest(hex: hex) else { throw StoreError.failed("a stored digest is damaged") }
    return digest
  }
}
