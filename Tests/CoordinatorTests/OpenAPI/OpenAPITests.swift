import HTTPTypes
import Hummingbird
import JSON
import Testing
import WebSocketTransport

@testable import Coordinator

struct OpenAPITests {
  /// `METHOD address` of all that the document tells.
  private static let documented: Set<String> = {
    var found: Set<String> = []
    for path in OpenAPIDocument.json["paths"]?.object?.members ?? [] {
      for method in path.value.object?.members ?? [] { found.insert(method.name.uppercased() + " " + path.name) }
    }
    return found
  }()

  @Test func `every route stands in the document, and the other way round`() async throws {
    try await MarketFixture.run { fixture in
      let gate = FeedGate(market: fixture.market, origins: HostPolicy.origins(fixture.market.configuration))
      let routes = MarketRoutes(
        market: fixture.market, readiness: Readiness(), gate: gate, pages: StaticFiles(directory: nil))
      var served: Set<String> = []
      for route in routes.table.routes {
        let address = route.path.hasSuffix("/**") ? route.path.dropLast(2) + "{path}" : route.path
        for method in route.methods { served.insert("\(method) \(address)") }
        // `HEAD` goes with `GET` and is told apart only where it means something else.
        let head = "HEAD \(address)"
        if route.methods.contains("GET"), !Self.documented.contains(head) { served.remove(head) }
      }
      #expect(served.subtracting(Self.documented) == [])
      #expect(Self.documented.subtracting(served) == [])
    }
  }

  @Test func `references lead somewhere, and everything is referred to`() throws {
    var wanted: Set<String> = []
    func collect(_ value: JSONValue) {
      for element in value.array ?? [] { collect(element) }
      for member in value.object?.members ?? [] {
        if member.name == "$ref", let target = member.value.string { wanted.insert(target) }
        collect(member.value)
      }
    }
    collect(OpenAPIDocument.json)
    let schemas = try #require(OpenAPIDocument.json["components"]?["schemas"]?.object)
    #expect(schemas.members.count == OpenAPIDocument.schemas.count, "a name stands twice")
    let there = schemas.members.map { "#/components/schemas/" + $0.name } + ["#/components/responses/Problem"]
    #expect(wanted == Set(there))
  }

  @Test func `operations have ids of their own, and no path is told twice`() {
    let operations = OpenAPIDocument.operations
    let ids = operations.compactMap { $0.json["operationId"]?.string }
    #expect(Set(ids).count == operations.count)
    #expect(Set(operations.map { $0.method + " " + $0.address }).count == operations.count)
  }
}
