import JSON

/// The Swift SDK of the marketplace: typed calls over REST, live feeds over WebSocket, transfers that resume.
///
/// Every call throws ``ClientError`` or `CancellationError`. Calls that change something carry an idempotency key, made
/// once per call, so that their retries change it once.
public struct MarketplaceClient: Sendable {
  public let transport: HTTPTransport
  public var configuration: ClientConfiguration { transport.configuration }

  /// Opens no connection yet. Call ``shutdown()`` when done.
  public init(_ configuration: ClientConfiguration) { transport = HTTPTransport(configuration) }

  /// Closes all connections; calls under way fail.
  public func shutdown() async { await transport.shutdown() }

  func get(_ path: APIPath) async throws -> JSONValue { try await transport.call(APIRequest(.get, path)).json() }

  func post(_ path: APIPath, _ body: JSONValue = [:], idempotencyKey: String? = nil) async throws -> JSONValue {
    try await transport.call(APIRequest(.post, path, body: body, idempotencyKey: idempotencyKey)).json()
  }

  func job(_ json: JSONValue) throws(ClientError) -> JobSnapshot {
    guard let job = JobSnapshot(json: json) else { throw .unexpected("the answer is not a job") }
    return job
  }

  func path(_ job: String, _ rest: String..., query: [(String, String?)] = []) -> APIPath {
    APIPath(v1: ["jobs", job] + rest, query: query)
  }
}
