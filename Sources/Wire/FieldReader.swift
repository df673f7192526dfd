public import JSON
public import Marketplace

/// Reads an object field by field, collecting every fault with its pointer, and in the end names members that nobody
/// asked for.
public struct FieldReader {
  private let object: JSONObject
  private let pointer: String
  /// What was asked for. A list, since most objects are read once and have few members.
  private var known: [String] = []
  public private(set) var errors: [FieldError] = []

  /// `pointer` is where the object stands in the body; empty for the body itself.
  public init(_ value: JSONValue, at pointer: String = "") {
    self.pointer = pointer
    if let object = value.object {
      self.object = object
    } else {
      object = JSONObject()
      errors = [FieldError(pointer, "must be an object, not \(value.kind)")]
    }
  }

  /// The pointer of a member.
  public func pointer(to name: String) -> String { Self.append(name, to: pointer) }

  /// By scalars (RFC 6901 §3): a combining mark must not hide the `/` before it.
  private static func append(_ name: String, to pointer: String) -> String {
    var scalars = pointer.unicodeScalars
    scalars.append("/")
    for scalar in name.unicodeScalars {
      switch scalar {
      case "~": scalars.append(contentsOf: "~0".unicodeScalars)
      case "/": scalars.append(contentsOf: "~1".unicodeScalars)
      default: scalars.append(scalar)
      }
    }
    return String(scalars)
  }

  public mutating func fail(_ name: String, _ message: String) {
    errors.append(FieldError(pointer(to: name), message))
  }

  /// Names a fault in a member of the member `name`.
  public mutating func fail(_ name: String, _ inner: String, _ message: String) {
    errors.append(FieldError(Self.append(inner, to: pointer(to: name)), message))
  }

  /// Adds faults found in a nested object.
  public mutating func add(_ nested: [FieldError]) { errors += nested }

  /// Whether the member is there and not null.
  public func has(_ name: String) -> Bool { object[name].map { !$0.isNull } ?? false }

  /// The member as it is; nil when absent or null.
  public mutating func value(_ name: String) -> JSONValue? {
    known.append(name)
    guard let value = object[name], !value.isNull else { return nil }
    return value
  }

  public mutating func string(_ name: String, limit: Int = 1024) -> String? {
    guard let value = value(name) else { return nil }
    guard let text = value.string else {
      return reject(name, "must be a string, not \(value.kind)")
    }
    guard text.utf8.count <= limit else { return reject(name, "is longer than \(limit) bytes") }
    guard !text.utf8.contains(0) else { return reject(name, "holds a NUL character") }
    return text
  }

  /// A string that says something.
  public mutating func filledString(_ name: String, limit: Int = 1024) -> String? {
    guard let text = string(name, limit: limit) else { return nil }
    return text.isEmpty ? reject(name, "must not be empty") : text
  }

  public mutating func integer(_ name: String, in range: ClosedRange<Int64>) -> Int64? {
    guard let value = value(name) else { return nil }
    guard let number = value.integer else {
      return reject(name, "must be a whole number, not \(describe(value))")
    }
    guard range.contains(number) else {
      return reject(name, "must be between \(range.lowerBound) and \(range.upperBound)")
    }
    return number
  }

  public mutating func bool(_ name: String) -> Bool? {
    guard let value = value(name) else { return nil }
    return value.bool ?? reject(name, "must be true or false, not \(value.kind)")
  }

  public mutating func strings(_ name: String, count: Int, limit: Int) -> [String]? {
    guard let value = value(name) else { return nil }
    guard let array = value.array else {
      return reject(name, "must be an array of strings, not \(value.kind)")
    }
    guard array.count <= count else { return reject(name, "has more than \(count) elements") }
    var result: [String] = []
    for (index, element) in array.enumerated() {
      guard let text = element.string, text.utf8.count <= limit, !text.utf8.contains(0) else {
        errors.append(
          FieldError(
            "\(pointer(to: name))/\(index)",
            "must be a string of at most \(limit) bytes without NUL"))
        return nil
      }
      result.append(text)
    }
    return result
  }

  /// An object of strings: labels, environment.
  public mutating func pairs(_ name: String, count: Int, limit: Int) -> [(String, String)]? {
    guard let value = value(name) else { return nil }
    guard let object = value.object else {
      return reject(name, "must be an object of strings, not \(value.kind)")
    }
    guard object.members.count <= count else {
      return reject(name, "has more than \(count) members")
    }
    var result: [(String, String)] = []
    for member in object.members {
      guard let text = member.value.string, text.utf8.count <= limit, !text.utf8.contains(0),
        !member.name.isEmpty, member.name.utf8.count <= 256, !member.name.utf8.contains(0)
      else {
        errors.append(
          FieldError(
            Self.append(member.name, to: pointer(to: name)),
            "must be a string of at most \(limit) bytes without NUL"))
        return nil
      }
      result.append((member.name, text))
    }
    return result
  }

  /// An exact amount, written as a number or a decimal string.
  public mutating func money(_ name: String) -> Money? {
    guard let value = value(name) else { return nil }
    guard let text = value.numberText ?? value.string, let amount = Money(decimal: text) else {
      return reject(name, "must be an amount such as 2.5, not negative, with at most six decimals")
    }
    return amount
  }

  /// A length of time: a number of seconds, or text like `30m`.
  public mutating func duration(_ name: String, atMost limit: Seconds = .longestInput) -> Seconds? {
    guard let value = value(name) else { return nil }
    guard let text = value.string ?? value.integer.map(String.init),
      let seconds = Seconds(durationText: text)
    else {
      return reject(name, "must be " + Seconds.durationHelp(atMost: limit))
    }
    guard seconds <= limit else { return reject(name, "must be at most \(limit.durationText)") }
    return seconds
  }

  /// A moment: RFC 3339, or epoch seconds.
  public mutating func timestamp(_ name: String) -> Timestamp? {
    guard let value = value(name) else { return nil }
    if let text = value.string, let time = Timestamp(rfc3339: text) ?? Timestamp(date: text) {
      return time
    }
    if let seconds = value.integer, (0...253_402_300_799).contains(seconds) {
      return Timestamp(milliseconds: seconds * 1000)
    }
    return reject(name, "must be an RFC 3339 time such as 2026-01-31T12:00:00Z")
  }

  /// Takes note that a member may be there, whatever it is.
  public mutating func allow(_ names: String...) { known += names }

  /// Names every member that was not read. Call last.
  public mutating func finish() -> [FieldError] {
    // A set pays off only where many members are looked up.
    let names = object.members.count > 16 ? Set(known) : nil
    for member in object.members where !(names?.contains(member.name) ?? known.contains(member.name)) {
      errors.append(FieldError(pointer(to: member.name), "unknown field"))
    }
    return errors
  }

  private func describe(_ value: JSONValue) -> String {
    if case .decimal(let text) = value { return text }
    return value.kind
  }

  private mutating func reject<T>(_ name: String, _ message: String) -> T? {
    fail(name, message)
    return nil
  }
}
