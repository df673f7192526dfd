/// Any JSON value (RFC 8259). Numbers that are not 64-bit integers keep their text, so nothing is rounded on the way
/// through us.
public enum JSONValue: Hashable, Sendable {
  case null
  case bool(Bool)
  case integer(Int64)
  /// A number as it was written, when it is not a 64-bit integer: `0.25`, `1e9`.
  case decimal(String)
  case string(String)
  case array([JSONValue])
  case object(JSONObject)

  /// The word for this kind of value in error messages.
  public var kind: String {
    switch self {
    case .null: "null"
    case .bool: "boolean"
    case .integer, .decimal: "number"
    case .string: "string"
    case .array: "array"
    case .object: "object"
    }
  }

  public var string: String? { if case .string(let value) = self { value } else { nil } }
  public var integer: Int64? { if case .integer(let value) = self { value } else { nil } }
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  public var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
  public var object: JSONObject? { if case .object(let value) = self { value } else { nil } }
  public var isNull: Bool { self == .null }

  /// The digits of a number, however it was written.
  public var numberText: String? {
    switch self {
    case .integer(let value): String(value)
    case .decimal(let text): text
    default: nil
    }
  }

  /// The member of an object; nil for other values and absent members.
  public subscript(key: String) -> JSONValue? { object?[key] }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  public init(stringLiteral value: String) { self = .string(value) }
  public init(integerLiteral value: Int64) { self = .integer(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  public init(dictionaryLiteral elements: (String, JSONValue)...) { self = .object(JSONObject(elements)) }

  /// The string, or null.
  public init(_ text: String?) { self = text.map(JSONValue.string) ?? .null }
  /// The number, or null.
  public init(_ number: Int?) { self = number.map { .integer(Int64($0)) } ?? .null }
  /// The number, or null.
  public init(_ number: Int64?) { self = number.map(JSONValue.integer) ?? .null }
}

/// An object that keeps the order of its members. Names are unique, compared byte by byte. Objects are equal when they
/// hold the same members in the same order; ``JSONValue/canonical`` does not mind the order.
public struct JSONObject: Hashable, Sendable {
  public private(set) var members: [Member]

  public struct Member: Hashable, Sendable {
    public let name: String
    public var value: JSONValue

    /// Swift takes `é` and `e` + accent for equal; JSON does not.
    func has(_ name: String) -> Bool { self.name == name && self.name.utf8.elementsEqual(name.utf8) }
  }

  public init() { members = [] }

  /// A later member of the same name replaces an earlier one.
  public init(_ pairs: [(String, JSONValue)]) {
    members = []
    members.reserveCapacity(pairs.count)
    for (name, value) in pairs { self[name] = value }
  }

  /// Takes members that are already known to have distinct names.
  init(distinct members: [Member]) { self.members = members }

  public var isEmpty: Bool { members.isEmpty }

  /// Setting nil removes the member.
  public subscript(name: String) -> JSONValue? {
    get { members.first { $0.has(name) }?.value }
    set {
      if let index = members.firstIndex(where: { $0.has(name) }) {
        if let newValue { members[index].value = newValue } else { members.remove(at: index) }
      } else if let newValue {
        members.append(Member(name: name, value: newValue))
      }
    }
  }

  /// Adds a member that is known not to be there yet; skips the search.
  public mutating func append(_ name: String, _ value: JSONValue) { members.append(Member(name: name, value: value)) }
}
