import Clocks
import Cryptography
import HTTPTypes
import Hummingbird
import JSON
import Marketplace
import Store
import Wire

/// What a share's token opens, without a key and read only: `/share/{token}` for people's browsers, the same under
/// `/v1` for programs.
///
/// **What counts as a download:** each GET that is answered with bytes of the package or of an artifact, whatever part
/// of it. Its answer's `ETag` is a grant: a request that names it in `If-Range`, as browsers do when they go on with a
/// download, goes on with what was counted and is not counted again, however often the connection breaks. HEAD, the
/// page, checksum, manifest and list count nothing.
struct SharedRoutes {
  let market: Market

  static let prefixes = ["/share", "/v1/share"]

  func add(to router: Router<AppContext>) {
    for prefix in Self.prefixes {
      let path = prefix + "/:token"
      for method in [HTTPRequest.Method.get, .head] {
        add(path, method, router) { try await overview($0, $1) }
        add(path + "/download", method, router) { request, opened in
          try await counted(request, opened, sha256: try await market.packages.package(of: opened.job.id).sha256) {
            try await results.package(of: opened.job, $0, opened.context)
          }
        }
        add(path + "/checksum", method, router) { try await results.checksum(of: try unused($1).job) }
        add(path + "/manifest", method, router) { try await results.manifest(of: try unused($1).job) }
        add(path + "/artifacts", method, router) { try await results.artifacts(of: try unused($1).job) }
        router.on(RouterPath(path + "/artifacts/**"), method: method) { request, context in
          let file = context.parameters.path
          return try await respond(request, context) { try await artifact(file, request, $0) }
        }
      }
    }
  }

  private var results: ResultRoutes { ResultRoutes(market: market) }

  /// A token that opens something now.
  struct Opened: Sendable {
    let tokenHash: String
    let share: ShareRecord
    let job: Job
    let context: AppContext
  }

  private func add(
    _ path: String, _ method: HTTPRequest.Method, _ router: Router<AppContext>,
    _ answer: @escaping @Sendable (Request, Opened) async throws -> Response
  ) {
    router.on(RouterPath(path), method: method) { request, context in
      try await respond(request, context) { try await answer(request, $0) }
    }
  }

  private func respond(
    _ request: Request, _ context: AppContext, _ answer: (Opened) async throws -> Response
  ) async throws -> Response {
    do {
      let hash = ShareToken.hash(context.parameters.get("token") ?? "")
      let now = market.clock.now
      let (share, job) = try await market.store.read { try $0.openShare(tokenHash: hash, at: now) }
      return try await answer(Opened(tokenHash: hash, share: share, job: job, context: context))
    } catch {
      guard request.wantsPage, let problem = error as? Problem ?? (error as? MarketError)?.problem else { throw error }
      return SharePage.failure(problem, path: request.uri.path)
    }
  }

  /// Throws 404 for a share that is used up.
  private func unused(_ opened: Opened) throws(MarketError) -> Opened {
    guard !opened.share.isUsedUp else { throw .shareNotFound }
    return opened
  }

  private func overview(_ request: Request, _ opened: Opened) async throws -> Response {
    let opened = try unused(opened)
    let package = try await market.packages.package(of: opened.job.id)
    let job = opened.job
    let manifest = try await market.whileHere(job.id) { try await market.results.manifest(job.id) }
    let overview = ShareOverview(share: opened.share, job: job, package: package, manifest: manifest)
    let path = request.uri.path
    guard !request.wantsPage else { return SharePage.response(overview, path: path) }
    let token = path.split(separator: "/").last.map(String.init) ?? ""
    return .json(overview.document(base: PublicAddress.of(request, market.configuration) + "/v1/share/" + token))
  }

  private func artifact(_ path: String, _ request: Request, _ opened: Opened) async throws -> Response {
    let sha256 = try await market.store.read { store in
      try store.artifacts(of: opened.job.id, tryNumber: opened.job.lastTry).first { $0.path == path }?.sha256
    }
    guard let sha256 else { throw Problem.notFound("artifact") }
    return try await counted(request, opened, sha256: sha256) {
      try await results.artifact(path, of: opened.job, $0, opened.context)
    }
  }

  /// Answers with a file. The count is written before the first byte goes out.
  private func counted(
    _ request: Request, _ opened: Opened, sha256: String, _ answer: (Request) async throws -> Response
  ) async throws -> Response {
    if let tag = request.headers[.ifRange], ShareGrant.isValid(tag, share: opened.share, sha256: sha256) {
      var head = request.head
      head.headerFields[.ifRange] = "\"\(sha256)\""
      var response = try await answer(Request(head: head, body: request.body))
      response.headers[.eTag] = tag
      return response
    }
    _ = try unused(opened)
    var response = try await answer(request)
    guard request.method == .get, response.status == .ok || response.status == .partialContent else { return response }
    let count = DownloadCount(tokenHash: opened.tokenHash, now: market.clock.now)
    let share = try await market.store.write { try count.run(in: $0) }
    response.headers[.eTag] = ShareGrant(share, number: share.downloads, sha256: sha256).tag
    return response
  }
}

extension Request {
  /// A browser's navigation, which names HTML; programs do not.
  var wantsPage: Bool { headers[.accept]?.lowercased().contains("text/html") ?? false }
}
