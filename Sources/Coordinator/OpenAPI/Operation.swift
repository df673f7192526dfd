import JSON

/// One method of one address, as `/openapi.json` tells it.
struct Operation: Sendable {
  /// Which API key it needs.
  enum Key: Sendable {
    case none, any, optional
    case client, miner, admin
  }

  struct Parameter: Sendable {
    let json: JSONValue

    static func query(_ name: String, _ schema: Schema, _ note: String) -> Parameter {
      Parameter(
        json: ["name": .string(name), "in": "query", "description": .string(note), "schema": schema.json])
    }

    static func header(_ name: String, _ note: String) -> Parameter {
      Parameter(
        json: [
          "name": .string(name), "in": "header", "description": .string(note), "schema": Schema.string.json,
        ])
    }

    static let idempotencyKey = Parameter.header(
      "Idempotency-Key", "1 to 255 characters; the same key and body get the first answer again, for 24 hours")
    static let limit = Parameter.query(
      "limit", Schema(json: ["type": "integer", "minimum": 1, "maximum": 500]), "how many at most")
    static let cursor = Parameter.query("cursor", .string, "goes on where the page with this `next_cursor` ended")
  }

  struct Answer: Sendable {
    let status: Int
    let note: String
    /// Nil: no body.
    let type: String?
    let schema: Schema
    var headers: [String] = []

    /// 200 unless another status is given.
    static func json(_ name: String, _ note: String, status: Int = 200, headers: [String] = []) -> Answer {
      Answer(status: status, note: note, type: "application/json", schema: .reference(name), headers: headers)
    }

    static func bytes(_ type: String, _ note: String, status: Int = 200, headers: [String] = []) -> Answer {
      Answer(status: status, note: note, type: type, schema: .string, headers: headers)
    }

    static func empty(_ status: Int, _ note: String, headers: [String] = []) -> Answer {
      Answer(status: status, note: note, type: nil, schema: .any, headers: headers)
    }
  }

  let method: String
  let path: String
  let summary: String
  let tag: String
  let key: Key
  var parameters: [Parameter] = []
  /// The component that the body is.
  var body: String?
  var isBodyNeeded = true
  var bodyType = "application/json"
  let answers: [Answer]
  /// Statuses of errors, besides those that every route has.
  var problems: [Int] = []

  init(
    _ method: String, _ path: String, _ tag: String, _ summary: String, key: Key = .client,
    with parameters: [Parameter] = [], body: String? = nil, isBodyNeeded: Bool = true,
    bodyType: String = "application/json", _ answers: [Answer], problems: [Int] = []
  ) {
    self.method = method
    self.path = path
    self.tag = tag
    self.summary = summary
    self.key = key
    self.parameters = parameters
    self.body = body
    self.isBodyNeeded = isBodyNeeded
    self.bodyType = bodyType
    self.answers = answers
    self.problems = problems
  }

  /// The address as OpenAPI writes it: `**` of the router is a parameter that may hold `/`.
  var address: String { path.hasSuffix("/**") ? String(path.dropLast(2)) + "{path}" : path }

  var json: JSONValue {
    var object = JSONObject([
      ("operationId", .string(id)), ("tags", [.string(tag)]), ("summary", .string(summary)),
      ("security", security), ("parameters", .array(pathParameters + parameters.map(\.json))),
    ])
    if let body {
      let schema = bodyType == "application/json" ? Schema.reference(body) : Schema.string
      object.append(
        "requestBody",
        [
          "required": .bool(isBodyNeeded), "content": .object(JSONObject([(bodyType, ["schema": schema.json])])),
        ])
    }
    object.append("responses", .object(responses))
    return .object(object)
  }

  /// `get_jobs_id_tries`, one for each operation.
  private var id: String {
    var words = method.lowercased()
    for part in address.split(whereSeparator: { "/{}:.-".contains($0) }) where part != "v1" { words += "_\(part)" }
    return address.hasPrefix("/v1/share/") ? words + "_v1" : words
  }

  private var security: JSONValue {
    switch key {
    case .none: []
    case .optional: [[:], ["apiKey": []], ["bearer": []]]
    case .any, .client, .miner, .admin: [["apiKey": []], ["bearer": []]]
    }
  }

  private var pathParameters: [JSONValue] {
    address.split(separator: "/").filter { $0.hasPrefix("{") }.map { part in
      let name = part.dropFirst().prefix { $0 != "}" }
      var parameter = JSONObject([
        ("name", .string(String(name))), ("in", "path"), ("required", true), ("schema", Schema.string.json),
      ])
      if path.hasSuffix("/**"), name == "path" { parameter.append("description", "a path; it may hold `/`") }
      return .object(parameter)
    }
  }

  private var responses: JSONObject {
    var responses = JSONObject()
    for answer in answers { responses[String(answer.status)] = answer.json }
    var all = problems + [429, 503]
    if key != .none { all += [401, 403] }
    if body != nil, bodyType == "application/json" { all += [400, 413, 422] }
    for status in Set(all).sorted() { responses[String(status)] = responses[String(status)] ?? Self.problem }
    responses["default"] = Self.problem
    return responses
  }

  private static let problem: JSONValue = ["$ref": "#/components/responses/Problem"]
}

extension Operation.Answer {
  var json: JSONValue {
    var object = JSONObject([("description", .string(note))])
    if !headers.isEmpty {
      object.append(
        "headers", .object(JSONObject(headers.map { ($0, ["schema": Schema.string.json]) })))
    }
    if let type { object.append("content", .object(JSONObject([(type, ["schema": schema.json])]))) }
    return .object(object)
  }
}
