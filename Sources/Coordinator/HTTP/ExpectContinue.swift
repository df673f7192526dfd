import HTTPTypes
import Hummingbird

/// `Expect: 100-continue` (RFC 9110 §10.1.1): who is going to read a request's body says so first, and whoever refuses
/// the request answers before it is sent.
enum ExpectContinue {
  /// Sends `100 Continue`; set while a request is served whose client waits for it.
  @TaskLocal static var send: (@Sendable () -> Void)?

  /// Serves a request; `body` may call ``send``.
  static func serving<Value>(
    _ request: Request, _ context: AppContext, _ body: () async throws -> Value
  ) async throws -> Value {
    guard request.headers[.expect]?.lowercased() == "100-continue" else { return try await body() }
    return try await $send.withValue({ context.sendContinue() }, operation: body)
  }
}
