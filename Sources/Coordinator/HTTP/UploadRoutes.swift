import Clocks
import Cryptography
import HTTPTypes
import Hummingbird
import JSON
import Marketplace
import ResultPackage
import Store
import Wire

/// Uploads that go on where they were cut: inputs (`/v1/blobs/{sha256}`) and artifacts
/// (`/v1/leases/{token}/artifacts/{path}`).
///
/// `HEAD` tells how much is here: 200 when all, else 404 with `Upload-Offset`, or 507 while no more can be taken. `PUT`
/// with `Content-Range: bytes A-B/TOTAL` appends from A; without it, the body is the whole; with `bytes */TOTAL` it has
/// none and asks to finish what is here. 201 when all has arrived and the digest is right, 202 with `Upload-Offset` when
/// more is to come, 409 with `Upload-Offset` when A is not what is here, 422 when the digest is another (the part is then
/// forgotten).
struct UploadRoutes {
  let market: Market

  func add(to router: Router<AppContext>) {
    router.on("/v1/blobs/:sha256", method: .head) { request, context in try await blobState(request, context) }
    router.put("/v1/blobs/:sha256") { request, context in try await putBlob(request, context) }
    router.get("/v1/blobs/:sha256") { request, context in try await getBlob(request, context) }
    router.on("/v1/leases/:token/artifacts/**", method: .head) { request, context in
      try await artifactState(request, context)
    }
    router.put("/v1/leases/:token/artifacts/**") { request, context in try await putArtifact(request, context) }
  }
}

// MARK: - Blobs

extension UploadRoutes {
  private func digest(_ context: AppContext) throws -> SHA256Digest {
    guard let digest = context.parameters.get("sha256").flatMap({ SHA256Digest(hex: $0) }) else {
      throw Problem.invalid([FieldError("sha256", "must be 64 lower-case hex digits")])
    }
    return digest
  }

  private func blobState(_ request: Request, _ context: AppContext) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    let digest = try digest(context)
    if let blob = try await knownBlob(digest) {
      return Response(status: .ok, headers: [.contentLength: String(blob.size), .uploadOffset: String(blob.size)])
    }
    let here = try await Upload(market: market, place: .blob(identity.account), digest: digest).length()
    return Response(status: .notFound, headers: [.uploadOffset: String(here)])
  }

  /// A blob that is here; who asks means to use it, so it stays for a while.
  private func knownBlob(_ digest: SHA256Digest) async throws -> BlobRecord? {
    let now = market.clock.now
    guard let blob = try await market.store.read({ try $0.blob(digest.hex) }) else { return nil }
    guard blob.usedAt < now - BlobCollection.freshness else { return blob }
    return try await market.store.write { store in
      try store.touch(blob: digest.hex, at: now)
      return try store.blob(digest.hex)
    }
  }

  private func putBlob(_ request: Request, _ context: AppContext) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    let digest = try digest(context)
    // From here to the row nobody removes the file.
    guard market.blobGate.enter(digest.hex) else {
      throw Problem(503, "blob_busy", "an older copy of this input is just being removed", retryAfter: 1)
    }
    defer { market.blobGate.leave(digest.hex) }
    if let blob = try await knownBlob(digest) {
      return Response(status: .ok, headers: [.uploadOffset: String(blob.size)])
    }
    try await market.requireRoom()
    let upload = Upload(market: market, place: .blob(identity.account), digest: digest)
    let (response, size) = try await upload.receive(request)
    guard let size else { return response }
    let record = BlobRecord(sha256: digest.hex, size: size, createdAt: market.clock.now)
    CrashPoint.blobRecord.reach(.before)
    try await market.store.write { try $0.save(record) }
    CrashPoint.blobRecord.reach(.after)
    return response
  }

  /// Miners fetch inputs, clients may look at their own again. The digest is the right to read: who knows it has it.
  private func getBlob(_ request: Request, _ context: AppContext) async throws -> Response {
    _ = try market.authenticator.require(key: request.apiKey)
    let digest = try digest(context)
    guard let blob = try await market.store.read({ try $0.blob(digest.hex) }) else { throw Problem.notFound("blob") }
    let file = try await market.blockingly { [files = market.files] in try files.readBlob(digest) }
    return try FileResponse(
      size: blob.size, sha256: blob.sha256, digest: digest.base64, type: "application/octet-stream",
      name: blob.sha256, content: .file(file, offset: 0)
    ).respond(to: request, over: context.channel, blocking: market.blocking)
  }
}

// MARK: - Artifacts

extension UploadRoutes {
  /// The lease of the path; 409 when it is over. The miner's key is needed as well.
  private func lease(_ request: Request, _ context: AppContext) throws -> LeaseTable.Lease {
    _ = try market.authenticator.require(.miner, key: request.apiKey)
    guard let lease = context.parameters.get("token").flatMap({ market.dispatcher.lease(token: $0) }) else {
      throw MarketError.staleLease
    }
    return lease
  }

  private func path(_ context: AppContext) throws -> ArtifactPath {
    do {
      return try ArtifactPath(validating: context.parameters.path)
    } catch {
      throw Problem.invalid([FieldError("path", "\(error)")])
    }
  }

  private func artifactState(_ request: Request, _ context: AppContext) async throws -> Response {
    let lease = try lease(request, context)
    let path = try path(context)
    let known = try await market.store.read { store in
      try store.artifact(of: lease.job, tryNumber: lease.tryNumber, path: path.string)
    }
    if let known {
      return Response(
        status: .ok,
        headers: [.uploadOffset: String(known.size), .checksum: known.sha256, .contentLength: String(known.size)])
    }
    guard let digest = Self.reprDigest(request.headers[.reprDigest]) else {
      return Response(status: .notFound, headers: [.uploadOffset: "0"])
    }
    let here = try await Upload(market: market, place: .artifact(lease, path), digest: digest).length()
    return Response(status: .notFound, headers: [.uploadOffset: String(here)])
  }

  private func putArtifact(_ request: Request, _ context: AppContext) async throws -> Response {
    let lease = try lease(request, context)
    let path = try path(context)
    guard let digest = Self.reprDigest(request.headers[.reprDigest]) else {
      throw Problem.invalid([FieldError("Repr-Digest", "must be sha-256=:BASE64:")])
    }
    let known = try await market.store.read { store in
      try store.artifact(of: lease.job, tryNumber: lease.tryNumber, path: path.string)
    }
    if let known, known.sha256 == digest.hex {
      return Response(status: .ok, headers: [.uploadOffset: String(known.size)])
    }
    // Other bytes under a name that is here replace it.
    if known == nil { try await requirePlace(for: path, of: lease) }
    let upload = Upload(market: market, place: .artifact(lease, path), digest: digest)
    let (response, size) = try await upload.receive(request)
    guard let size else { return response }
    let record = ArtifactRecord(
      job: lease.job, tryNumber: lease.tryNumber, path: path.string, size: size, sha256: digest.hex)
    guard known != nil || market.artifactNames.take(path, of: lease) else {
      throw Problem(
        409, "artifact_busy", "another artifact has just come under this name, or one like it", retryAfter: 1)
    }
    do {
      try await save(record, of: lease)
    } catch {
      if known == nil { market.artifactNames.giveBack(path, of: lease) }
      throw error
    }
    return response
  }

  private func save(_ record: ArtifactRecord, of lease: LeaseTable.Lease) async throws {
    CrashPoint.artifactRecord.reach(.before)
    try await market.store.write { store in
      _ = try store.liveTry(leaseHash: lease.hash, of: nil)
      try store.save(record)
    }
    CrashPoint.artifactRecord.reach(.after)
  }

  /// Throws when the try has too many artifacts, or one that can't stand beside this one.
  private func requirePlace(for path: ArtifactPath, of lease: LeaseTable.Lease) async throws {
    let limit = market.configuration.artifactLimit
    let verdict = try await market.artifactNames.check(path, of: lease, limit: limit, in: market.store) {
      [dispatcher = market.dispatcher] hash in dispatcher.isLive(hash)
    }
    switch verdict {
    case .fine: return
    case .tooMany: throw Problem(422, "too_many_artifacts", "a try may leave at most \(limit) artifacts")
    case .clash(let other): throw Problem.invalid([FieldError("path", "can't stand beside \(other) in one package")])
    }
  }

  /// `sha-256=:BASE64:` among the digests of the header (RFC 9530).
  static func reprDigest(_ header: String?) -> SHA256Digest? {
    for part in (header ?? "").split(separator: ",") {
      let part = part.filter { $0 != " " }
      guard part.hasPrefix("sha-256=:"), part.hasSuffix(":"), part.utf8.count > 10 else { continue }
      if let bytes = Base64.decode(String(part.dropFirst(9).dropLast())) { return SHA256Digest(bytes: bytes) }
    }
    return nil
  }
}
