import Clocks
import Cryptography
import HTTPTypes
import Hummingbird
import JSON
import Marketplace
import Store
import Wire

/// An owner's links to a job's result: making, listing, revoking.
struct ShareRoutes {
  let market: Market

  /// Downloads that a link may be bounded to.
  private static let downloads: ClosedRange<Int64> = 1...1_000_000_000

  func add(to router: Router<AppContext>) {
    router.post("/v1/jobs/:id/share") { request, context in try await share(request, context) }
    router.get("/v1/jobs/:id/shares") { request, context in try await list(request, context) }
    router.delete("/v1/jobs/:id/shares/:share") { request, context in try await revoke(request, context) }
  }

  /// The token stands in this answer and nowhere else.
  private func share(_ request: Request, _ context: AppContext) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    let id = try market.jobID(context)
    let body = try await request.bytes(limit: market.configuration.bodyLimit)
    var reader = FieldReader(try Request.json(body, isOptional: true))
    let term = reader.duration("expires")
    let maximum = reader.integer("max_downloads", in: Self.downloads)
    let errors = reader.finish()
    guard errors.isEmpty else { throw Problem.invalid(errors) }
    // The token is kept nowhere: a repetition must find it by itself.
    let idempotency = try request.idempotency(body)
    let token =
      try idempotency.map {
        ShareToken.make(
          secret: try market.signingKey.rawBytes(), request: "\(identity.account)\n\($0.key)\n\($0.requestHash)")
      } ?? ShareToken.make()
    let creation = ShareCreation(
      job: id, account: identity.account, newID: market.newID(ShareKind.self), tokenHash: ShareToken.hash(token),
      grantSecret: SecureRandom.bytes(32), term: term ?? ShareCreation.defaultTerm, maximumDownloads: maximum,
      now: market.clock.now)
    let (share, isReplay) = try await market.store.write { store in
      let answer = try store.answer(idempotency, of: identity.account, at: creation.now) {
        (201, .string(try creation.run(in: store).id.rawValue))
      }
      let id = try JSONParser.parse(answer.body).string.flatMap { ShareID($0) }
      // Revoked since, or made under another signing key.
      guard let share = try id.flatMap({ try store.share($0) }), share.tokenHash == creation.tokenHash else {
        throw MarketError.shareNotFound
      }
      return (share, answer.isReplay)
    }
    let url = PublicAddress.of(request, market.configuration) + "/share/" + token
    var object = JSONObject([("url", .string(url)), ("token", .string(token))])
    for member in share.document(at: market.clock.now).members { object.append(member.name, member.value) }
    var headers: HTTPFields = [.cacheControl: "no-store"]
    if isReplay { headers[.idempotentReplay] = "true" }
    return .json(.object(object), status: .created, headers: headers)
  }

  private func list(_ request: Request, _ context: AppContext) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    let id = try market.jobID(context)
    let now = market.clock.now
    let shares = try await market.store.read { store in
      // A result that is gone has no links any more.
      let job = try store.ownJob(id, of: identity.account)
      return job.resultsGone(at: now) == nil ? try store.shares(of: id) : []
    }
    return .json([
      "job_id": .string(id.rawValue), "shares": .array(shares.map { .object($0.document(at: now)) }),
    ])
  }

  private func revoke(_ request: Request, _ context: AppContext) async throws -> Response {
    let identity = try market.authenticator.require(.client, key: request.apiKey)
    let id = try market.jobID(context)
    guard let share = context.parameters.get("share").flatMap({ ShareID($0) }) else { throw MarketError.shareNotFound }
    let revocation = ShareRevocation(share: share, job: id, account: identity.account)
    let (idempotency, now) = (try request.idempotency([]), market.clock.now)
    let answer = try await market.store.write { store in
      try store.answer(idempotency, of: identity.account, at: now) {
        try revocation.run(in: store)
        return (204, .null)
      }
    }
    return Response(status: .noContent, headers: answer.isReplay ? [.idempotentReplay: "true"] : [:])
  }
}

extension ShareRecord {
  /// What its owner sees.
  func document(at now: Timestamp) -> JSONObject {
    let state = isExpired(at: now) ? "expired" : isUsedUp ? "used_up" : "active"
    var object = JSONObject([
      ("share_id", .string(id.rawValue)), ("job_id", .string(job.rawValue)), ("state", .string(state)),
      ("max_downloads", JSONValue(maximumDownloads)), ("downloads", .integer(downloads)),
    ])
    object.append(time: createdAt, as: "created_at")
    object.append(time: expiresAt, as: "expires_at")
    return object
  }
}

/// The address that links name.
enum PublicAddress {
  /// What the operator said, else the name the request came to when it is ours, else where we listen.
  static func of(_ request: Request, _ configuration: CoordinatorConfiguration) -> String {
    if var url = configuration.publicURL {
      while url.hasSuffix("/") { url.removeLast() }
      return url
    }
    if let host = request.head.authority, HostPolicy(configuration).allows(host) { return "http://" + host }
    let host = configuration.host.contains(":") ? "[\(configuration.host)]" : configuration.host
    return "http://\(host):\(configuration.port)"
  }
}
