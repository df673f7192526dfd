public import JSON

/// An error answer: RFC 9457 `application/problem+json`, with the `detail` string that AITBC clients read.
public struct Problem: Error, Hashable, Sendable {
  public static let mediaType = "application/problem+json"

  /// HTTP status.
  public var status: Int
  /// For programs; stable. Part of the `type` URI too.
  public var code: String
  /// One sentence for people.
  public var detail: String
  /// What is wrong in the request, by field.
  public var errors: [FieldError]
  /// Whether the same request may succeed later.
  public var isRetryable: Bool
  /// Seconds for `Retry-After`; nil: no header.
  public var retryAfter: Int?
  /// More members, such as `purged_at`.
  public var extra: JSONObject

  public init(
    _ status: Int, _ code: String, _ detail: String, errors: [FieldError] = [], retryAfter: Int? = nil,
    extra: JSONObject = JSONObject()
  ) {
    self.status = status
    self.code = code
    self.detail = detail
    self.errors = errors
    self.retryAfter = retryAfter
    self.extra = extra
    isRetryable = retryAfter != nil
  }

  /// The body. `requestID` is the one in the `X-Request-ID` header.
  public func json(requestID: String) -> JSONValue {
    var object = JSONObject([
      ("type", .string("urn:aitbc:problem:" + code)), ("title", .string(Self.title(status))),
      ("status", .integer(Int64(status))), ("detail", .string(detail)), ("code", .string(code)),
      ("request_id", .string(requestID)), ("retryable", .bool(isRetryable)),
    ])
    if !errors.isEmpty { object.append("errors", .array(errors.map(\.json))) }
    for member in extra.members where object[member.name] == nil { object.append(member.name, member.value) }
    return .object(object)
  }

  /// Reads a body back; nil when it is not one of ours.
  public init?(status: Int, json: JSONValue) {
    guard let detail = json["detail"]?.string else { return nil }
    self.init(
      status, json["code"]?.string ?? "error", detail,
      errors: (json["errors"]?.array ?? []).compactMap(FieldError.init(json:)))
    isRetryable = json["retryable"]?.bool ?? false
    extra = json.object ?? JSONObject()
  }

  private static func title(_ status: Int) -> String {
    switch status {
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 409: "Conflict"
    case 410: "Gone"
    case 411: "Length Required"
    case 412: "Precondition Failed"
    case 413: "Content Too Large"
    case 414: "URI Too Long"
    case 415: "Unsupported Media Type"
    case 416: "Range Not Satisfiable"
    case 422: "Unprocessable Content"
    case 425: "Too Early"
    case 426: "Upgrade Required"
    case 429: "Too Many Requests"
    case 431: "Request Header Fields Too Large"
    case 503: "Service Unavailable"
    case 505: "HTTP Version Not Supported"
    case 507: "Insufficient Storage"
    default: status < 500 ? "Error" : "Internal Server Error"
    }
  }
}

/// One wrong field.
public struct FieldError: Hashable, Sendable {
  /// JSON pointer (RFC 6901) into the body, or the name of a query parameter or header.
  public var pointer: String
  public var message: String

  public init(_ pointer: String, _ message: String) {
    self.pointer = pointer
    self.message = message
  }

  var json: JSONValue { ["pointer": .string(pointer), "message": .string(message)] }

  init?(json: JSONValue) {
    guard let pointer = json["pointer"]?.string, let message = json["message"]?.string else { return nil }
    self.init(pointer, message)
  }
}

extension Problem {
  /// 422 with every wrong field named in `detail` as well.
  public static func invalid(_ errors: [FieldError]) -> Problem {
    let named = errors.prefix(5).map { ($0.pointer.isEmpty ? "body" : $0.pointer) + ": " + $0.message }
    return Problem(422, "validation_error", named.joined(separator: "; "), errors: errors)
  }

  public static func notFound(_ what: String) -> Problem { Problem(404, "not_found", what + " not found") }
}
