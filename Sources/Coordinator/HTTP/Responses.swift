import HTTPTypes
import Hummingbird
import JSON
import NIOCore
import Wire

extension Response {
  /// A JSON answer.
  static func json(_ value: JSONValue, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]) -> Response {
    raw(value.encoded, type: "application/json", status: status, headers: headers)
  }

  /// An answer of bytes that are at hand.
  static func raw(
    _ bytes: [UInt8], type: String, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]
  ) -> Response {
    var headers = headers
    headers[.contentType] = type
    return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
  }

  /// An answer that may be given again.
  static func answer(_ answer: Answer) -> Response {
    var headers: HTTPFields = [:]
    if answer.isReplay { headers[.idempotentReplay] = "true" }
    return .raw(
      Array(answer.body.utf8), type: "application/json", status: HTTPResponse.Status(code: answer.status),
      headers: headers)
  }

  /// An error.
  static func problem(_ problem: Problem, requestID: String) -> Response {
    var headers: HTTPFields = [.contentType: Problem.mediaType]
    if let seconds = problem.retryAfter { headers[.retryAfter] = String(seconds) }
    if problem.status == 401 { headers[.wwwAuthenticate] = "Bearer realm=\"aitbc\"" }
    if problem.status == 426 {
      headers[.upgrade] = "websocket"
      headers[.webSocketVersion] = "13"
      headers[.connection] = "Upgrade"
    }
    return Response(
      status: HTTPResponse.Status(code: problem.status), headers: headers,
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: problem.json(requestID: requestID).encoded)))
  }
}

extension HTTPField.Name {
  static let apiKey = name("X-Api-Key")
  static let requestID = name("X-Request-ID")
  static let idempotencyKey = name("Idempotency-Key")
  static let idempotentReplay = name("Idempotent-Replay")
  static let prefer = name("Prefer")
  static let preferenceApplied = name("Preference-Applied")
  static let reprDigest = name("Repr-Digest")
  static let uploadOffset = name("Upload-Offset")
  static let minerID = name("X-Miner-ID")
  static let leaseToken = name("X-Lease-Token")
  static let checksum = name("X-Checksum-Sha256")
  static let logOffset = name("X-Log-Offset")
  static let logLength = name("X-Log-Length")
  static let logTry = name("X-Log-Try")
  static let logComplete = name("X-Log-Complete")
  static let logSHA256 = name("X-Log-Sha256")
  static let contentTypeOptions = name("X-Content-Type-Options")
  static let referrerPolicy = name("Referrer-Policy")
  static let robots = name("X-Robots-Tag")
  static let link = name("Link")
  static let webSocketVersion = name("Sec-WebSocket-Version")

  /// The names here are tokens (RFC 9110 §5.1); one that is not would be seen at once as a missing header.
  private static func name(_ text: String) -> HTTPField.Name { HTTPField.Name(text) ?? .userAgent }
}
