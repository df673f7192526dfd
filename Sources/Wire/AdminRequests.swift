public import JSON
public import Marketplace

/// `POST /v1/admin/accounts` and `PATCH /v1/admin/accounts/{account}`.
public struct AccountRequest: Hashable, Sendable {
  public var name: String?
  public var plan: Plan?

  /// Characters of an account's name.
  public static let longestName = 64

  /// Reads a new account: the name is needed, the plan is `free` unless given. Throws ``Problem`` 422.
  public static func creation(_ body: JSONValue) throws(Problem) -> (name: String, plan: Plan) {
    var reader = FieldReader(body)
    let name = reader.string("name", limit: longestName)
    if let name {
      if let fault = fault(in: name) { reader.fail("name", fault) }
    } else if !reader.has("name") {
      reader.fail("name", "is missing")
    }
    let plan = plan(&reader)
    let errors = reader.finish()
    guard errors.isEmpty, let name else { throw Problem.invalid(errors) }
    return (name, plan ?? .free)
  }

  /// Reads a change of plan. Throws ``Problem`` 422.
  public static func change(_ body: JSONValue) throws(Problem) -> Plan {
    var reader = FieldReader(body)
    let plan = plan(&reader)
    if plan == nil, !reader.has("plan") { reader.fail("plan", "is missing") }
    let errors = reader.finish()
    guard errors.isEmpty, let plan else { throw Problem.invalid(errors) }
    return plan
  }

  private static func plan(_ reader: inout FieldReader) -> Plan? {
    guard let word = reader.string("plan", limit: 16) else { return nil }
    if let plan = Plan(rawValue: word.lowercased()) { return plan }
    reader.fail("plan", "must be " + Plan.allCases.map(\.rawValue).joined(separator: ", "))
    return nil
  }

  /// A name is a word that can stand in an address and is no id.
  private static func fault(in name: String) -> String? {
    let isWord = name.utf8.allSatisfy { byte in
      (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || "._-@+".utf8.contains(byte)
    }
    guard isWord, name.utf8.first.map({ !"._-@+".utf8.contains($0) }) ?? false else {
      return "must be letters, digits and . _ - @ +, and begin with a letter or digit"
    }
    return name.hasPrefix(AccountKind.prefix + "_") ? "must not look like an id" : nil
  }
}

/// `POST /v1/admin/keys`.
public struct KeyRequest: Hashable, Sendable {
  /// An account's id or name.
  public var account: String
  /// `client`, `miner` or `admin`.
  public var role: String
  public var name: String?

  /// Throws ``Problem`` 422.
  public init(_ body: JSONValue, roles: [String]) throws(Problem) {
    var reader = FieldReader(body)
    let account = reader.string("account", limit: 128)
    if account == nil, !reader.has("account") { reader.fail("account", "is missing") }
    let role = reader.string("role", limit: 16)
    if let role, !roles.contains(role) {
      reader.fail("role", "must be " + roles.joined(separator: ", "))
    } else if role == nil, !reader.has("role") {
      reader.fail("role", "is missing")
    }
    name = reader.string("name", limit: 128)
    let errors = reader.finish()
    guard errors.isEmpty, let account, let role else { throw Problem.invalid(errors) }
    self.account = account
    self.role = role
  }
}
