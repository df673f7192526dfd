public import JSON

/// One call to the coordinator, before it is sent.
public struct APIRequest: Sendable {
  public enum Method: String, Sendable {
    case get = "GET", head = "HEAD", post = "POST", put = "PUT", patch = "PATCH", delete = "DELETE"
  }

  public var method: Method
  public var path: APIPath
  /// Besides the key, `User-Agent`, `X-Request-ID` and what belongs to the body.
  public var headers: [(name: String, value: String)]
  /// Sent as `application/json`.
  public var body: JSONValue?
  /// Makes a repeated change harmless. Nil: made anew for each POST, PATCH and DELETE, once for all its retries.
  public var idempotencyKey: String?

  public init(
    _ method: Method, _ path: APIPath, body: JSONValue? = nil, headers: [(name: String, value: String)] = [],
    idempotencyKey: String? = nil
  ) {
    self.method = method
    self.path = path
    self.headers = headers
    self.body = body
    self.idempotencyKey = idempotencyKey
  }

  var isChange: Bool { method == .post || method == .patch || method == .delete }
}

/// An answer whose body was read whole.
public struct APIAnswer: Sendable {
  public var status: Int
  public var headers: AnswerHeaders
  public var body: [UInt8]

  /// The body as JSON. Throws ``ClientError/unexpected(_:)`` when it is none.
  public func json() throws(ClientError) -> JSONValue {
    do {
      return try JSONParser.parse(body)
    } catch {
      throw .unexpected("the answer is not JSON (\(error)): is that address a coordinator?")
    }
  }
}

/// Header fields of an answer, by any case of their names.
public struct AnswerHeaders: Hashable, Sendable {
  private let fields: [String: String]

  /// Of fields that stand more than once the first is kept.
  public init(_ pairs: some Sequence<(String, String)>) {
    fields = Dictionary(pairs.map { ($0.0.lowercased(), $0.1) }, uniquingKeysWith: { first, _ in first })
  }

  public subscript(name: String) -> String? { fields[name.lowercased()] }

  /// A field that holds a whole number, not negative.
  public func integer(_ name: String) -> Int64? {
    self[name].flatMap { Int64($0) }.flatMap { $0 >= 0 ? $0 : nil }
  }
}
