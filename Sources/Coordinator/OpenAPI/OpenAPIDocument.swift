import JSON

/// What `GET /openapi.json` answers: every route there is, and what it takes and gives. A test compares it with the
/// router, others validate real answers with it.
enum OpenAPIDocument {
  static let operations: [Operation] =
    [
      Operation.jobs, Operation.lists, Operation.attempts, Operation.queue, Operation.results, Operation.shares,
      Operation.uploads, Operation.miners, Operation.restMiners, Operation.administration, Operation.system,
    ].flatMap { $0 }

  static let schemas: [(String, Schema)] =
    [
      Schema.problems, Schema.jobs, Schema.submissions, Schema.jobLists, Schema.attempts, Schema.results,
      Schema.shares, Schema.fleet, Schema.restMiners, Schema.administration,
    ].flatMap { $0 }

  static let json: JSONValue = [
    "openapi": "3.1.0",
    "info": [
      "title": "aitbc coordinator", "version": .string(CoordinatorServer.version),
      "summary": "A compute marketplace: jobs, miners, results.",
      "description": .string(description), "license": ["name": "MIT", "identifier": "MIT"],
    ],
    "servers": [["url": "/"]], "tags": .array(tags), "paths": .object(paths),
    "components": [
      "securitySchemes": [
        "apiKey": ["type": "apiKey", "in": "header", "name": "X-Api-Key"],
        "bearer": ["type": "http", "scheme": "bearer"],
      ],
      "responses": [
        "Problem": [
          "description": "An error (RFC 9457). `code` is for programs, `detail` for people.",
          "headers": [
            "Retry-After": ["description": "seconds; when `retryable`", "schema": Schema.string.json],
            "X-Request-ID": ["schema": Schema.string.json],
          ],
          "content": ["application/problem+json": ["schema": Schema.reference("Problem").json]],
        ]
      ],
      "schemas": .object(JSONObject(schemas.map { ($0.0, $0.1.json) })),
    ],
  ]

  /// As it is sent.
  static let bytes: [UInt8] = json.encoded

  private static let description = """
    Every `GET` answers `HEAD` too. Errors are `application/problem+json`. A moment `x_at` is RFC 3339 in UTC and has a \
    twin `x_at_unix` in whole seconds. Money is a decimal string. Unknown fields in a request are refused with 422. \
    Answers may grow further members. The WebSocket addresses speak the protocol of docs/protocol.md after an upgrade.
    """

  private static var tags: [JSONValue] {
    var names: [String] = []
    for operation in operations where !names.contains(operation.tag) { names.append(operation.tag) }
    return names.map { ["name": .string($0)] }
  }

  private static var paths: JSONObject {
    var paths = JSONObject()
    for operation in operations {
      var item = paths[operation.address]?.object ?? JSONObject()
      item[operation.method.lowercased()] = operation.json
      paths[operation.address] = .object(item)
    }
    return paths
  }
}
