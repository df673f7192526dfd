import HTTPTypes
import Hummingbird
import Testing

@testable import Coordinator

struct RouteTableTests {
  private static var table: RouteTable {
    let router = Router(context: AppContext.self)
    func add(_ path: RouterPath, _ methods: HTTPRequest.Method...) {
      for method in methods { router.on(path, method: method) { _, _ in Response(status: .ok) } }
    }
    add("/", .get, .head)
    add("/v1/jobs", .get, .post)
    add("/v1/jobs:batch", .post)
    add("/v1/jobs/history", .get)
    add("/v1/jobs/:id", .get, .delete)
    add("/v1/jobs/:id/cancel", .post)
    add("/v1/leases/:token/artifacts/**", .put)
    return RouteTable(router)
  }

  @Test(
    arguments: [
      ("/", "GET, HEAD"), ("/v1/jobs", "GET, HEAD, POST"), ("/v1/jobs/", "GET, HEAD, POST"), ("/v1/jobs:batch", "POST"),
      // A name goes before a placeholder.
      ("/v1/jobs/history", "GET, HEAD"), ("/v1/jobs/other", "DELETE, GET, HEAD"), ("/v1/jobs/x/cancel", "POST"),
      ("/v1/leases/t/artifacts/a", "PUT"), ("/v1/leases/t/artifacts/a/b/c", "PUT"),
      ("/v1", nil), ("/v1/job", nil), ("/v1/jobs/x/y", nil), ("/v1/jobs/x/cancel/now", nil), ("/v2/jobs", nil),
      ("/v1/leases/t/artifacts", nil), ("", "GET, HEAD"),
    ] as [(String, String?)])
  func `methods of an address`(path: String, allow: String?) { #expect(Self.table.allow(path) == allow) }
}
