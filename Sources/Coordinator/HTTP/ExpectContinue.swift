import HTTPTypes
import Hummingbird

/// `Expect: 100-continue` (RFC 9110 §10.1.1): who is going to read a request's body says so first, and whoever refuses
/// the request answers before it is sent.
///
/// An object, not a closure: the optimized build crashed with a task-local closure (Swift 6.3).
final class ExpectContinue: Sendable {
  /// Set while a request is served whose client waits for `100 Continue`.
  @TaskLocal static var client: ExpectContinue?

  private let context: AppContext

  private init(_ context: AppContext) { self.context = context }

  /// Sends `100 Continue`, if the client waits for it.
  static func send() { client?.context.sendContinue() }

  /// Serves a request; `body` may call ``send()``.
  static func serving(
    _ request: Request, _ context: AppContext, _ body: () async throws -> Response
  ) async throws -> Response {
    guard request.headers[.expect]?.lowercased() == "100-continue" else { return try await body() }
    return try await $client.withValue(ExpectContinue(context)) { try await body() }
  }
}
