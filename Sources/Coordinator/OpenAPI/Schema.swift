import JSON
import Marketplace

/// A JSON Schema (2020-12, as OpenAPI 3.1 takes it), in the few forms that our documents need.
struct Schema: Sendable {
  let json: JSONValue

  static let string = Schema(json: ["type": "string"])
  static let integer = Schema(json: ["type": "integer"])
  static let count = Schema(json: ["type": "integer", "minimum": 0])
  static let boolean = Schema(json: ["type": "boolean"])
  static let number = Schema(json: ["type": "number"])
  static let any = Schema(json: [:])
  /// Any members, of any kind.
  static let object = Schema(json: ["type": "object"])
  static let null = Schema(json: ["type": "null"])

  /// RFC 3339 in UTC with milliseconds.
  static let time = Schema(
    json: [
      "type": "string", "format": "date-time",
      "pattern": #"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"#,
    ])
  /// An exact amount as a decimal string.
  static let money = Schema(json: ["type": "string", "pattern": #"^-?\d+\.\d{6}$"#, "examples": ["0.025000"]])
  static let sha256 = Schema(json: ["type": "string", "pattern": "^[0-9a-f]{64}$"])
  /// On input: whole seconds, or text such as `90s`, `30m`, `2h`, `7d`, `2w`.
  static let duration = Schema(
    json: [
      "anyOf": [["type": "integer", "minimum": 1], ["type": "string", "pattern": #"^[1-9]\d*[smhdw]?$"#]],
      "examples": ["30m"],
    ])
  /// On input: RFC 3339, a date, or seconds since 1970.
  static let moment = Schema(json: ["anyOf": [["type": "string"], ["type": "integer", "minimum": 0]]])

  /// An id: the prefix, `_`, 26 lower-case base32 characters.
  static func id(_ prefix: String) -> Schema {
    Schema(json: ["type": "string", "pattern": .string("^\(prefix)_[0-9a-z]{26}$")])
  }

  static func reference(_ name: String) -> Schema {
    Schema(json: ["$ref": .string("#/components/schemas/" + name)])
  }

  static func words(_ words: [String]) -> Schema {
    Schema(json: ["type": "string", "enum": .array(words.map(JSONValue.string))])
  }

  static func constant(_ value: JSONValue) -> Schema { Schema(json: ["const": value]) }

  static func array(_ element: Schema) -> Schema { Schema(json: ["type": "array", "items": element.json]) }

  static func map(_ value: Schema) -> Schema {
    Schema(json: ["type": "object", "additionalProperties": value.json])
  }

  static func anyOf(_ choices: [Schema]) -> Schema { Schema(json: ["anyOf": .array(choices.map(\.json))]) }
  static func oneOf(_ choices: [Schema]) -> Schema { Schema(json: ["oneOf": .array(choices.map(\.json))]) }

  /// Or null.
  static func optional(_ schema: Schema) -> Schema {
    guard var object = schema.json.object, let type = object["type"], object["enum"] == nil else {
      return Schema(json: ["anyOf": [schema.json, ["type": "null"]]])
    }
    object["type"] = [type, "null"]
    return Schema(json: .object(object))
  }

  /// An object of these members. Answers may grow further ones; requests with unknown ones are refused.
  static func members(_ members: [Member], isRequest: Bool = false, _ note: String? = nil) -> Schema {
    var object = JSONObject([("type", "object")])
    if let note { object.append("description", .string(note)) }
    let fields = members.flatMap(\.fields)
    object.append("properties", .object(JSONObject(fields.map { ($0.name, $0.schema) })))
    let required = fields.filter(\.isRequired).map { JSONValue.string($0.name) }
    if !required.isEmpty { object.append("required", .array(required)) }
    if isRequest { object.append("additionalProperties", false) }
    return Schema(json: .object(object))
  }
}

/// One member of an object, or a moment with its twin.
struct Member: Sendable {
  let fields: [(name: String, schema: JSONValue, isRequired: Bool)]

  /// A member that always is there.
  static func always(_ name: String, _ schema: Schema, _ note: String? = nil) -> Member {
    Member(fields: [(name, described(schema, note), true)])
  }

  /// A member that always is there and may be null.
  static func nullable(_ name: String, _ schema: Schema, _ note: String? = nil) -> Member {
    Member(fields: [(name, described(.optional(schema), note), true)])
  }

  /// A member that may be missing. In requests null is the same as missing.
  static func sometimes(_ name: String, _ schema: Schema, _ note: String? = nil) -> Member {
    Member(fields: [(name, described(schema, note), false)])
  }

  /// A moment and its twin in whole seconds since 1970, which always are there.
  static func at(_ name: String, isNullable: Bool = false, _ note: String? = nil) -> Member {
    let (text, seconds) =
      isNullable ? (Schema.optional(.time), Schema.optional(.integer)) : (Schema.time, Schema.integer)
    return Member(fields: [(name, described(text, note), true), (name + "_unix", seconds.json, true)])
  }

  private static func described(_ schema: Schema, _ note: String?) -> JSONValue {
    guard let note, var object = schema.json.object else { return schema.json }
    object["description"] = .string(note)
    return .object(object)
  }
}
