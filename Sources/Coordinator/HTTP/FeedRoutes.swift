import HTTPTypes
import Hummingbird
import Marketplace
import NIOHTTP1
import Store
import WebSocketTransport
import Wire

/// The WebSocket addresses asked for without an upgrade, or with one that was refused: the answer says why.
struct FeedRoutes {
  let gate: FeedGate

  func add(to router: Router<AppContext>) {
    for path in ["/v1/jobs/ws", "/v1/miners/ws"] {
      router.get(RouterPath(path)) { request, context in try await refuse(request, context) }
    }
    router.get("/v1/jobs/:id/ws") { request, context in try await refuse(request, context) }
  }

  private func refuse(_ request: Request, _ context: AppContext) async throws -> Response {
    let head = HTTPRequestHead(
      version: .http1_1, method: .GET, uri: request.uri.description, headers: HTTPHeaders(request: request))
    if let problem = gate.fault(of: head) { throw problem }
    switch await gate.decide(head) {
    case .refuse(let problem): throw problem
    case .admit(let target, _):
      try gate.checkLimits(target, address: context.remoteAddress?.ipAddress)
      // It was refused, and now nothing speaks against it.
      throw Problem(503, "try_again", "the connection could not be opened just now", retryAfter: 1)
    }
  }
}

extension HTTPHeaders {
  /// The request's fields as NIO's HTTP/1 headers.
  init(request: Request) {
    self.init(request.headers.map { ($0.name.rawName, $0.value) })
    if let host = request.head.authority { add(name: "Host", value: host) }
  }
}
