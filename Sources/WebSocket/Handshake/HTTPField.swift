/// One line of an HTTP header section (RFC 9110 §5).
public struct HTTPField: Hashable, Sendable {
  /// Compared without regard to ASCII case.
  public var name: String
  /// Without white space around it.
  public var value: String

  /// - Parameter value: blanks around it are no part of it (RFC 9112 §5); NIO's decoder leaves those behind it.
  public init(_ name: String, _ value: String) {
    self.name = name
    self.value = value.trimmedOfBlanks
  }

  /// Safe to write: a token as the name, no control characters but tab in the value (RFC 9110 §5.5). Keeps callers'
  /// values from splitting a request.
  public var isWellFormed: Bool {
    name.isToken && value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }
  }
}

/// The head of an HTTP/1.x request.
public struct RequestHead: Hashable, Sendable {
  public var method: String
  public var target: String
  /// `HTTP/1.minor`; other majors are not parsed.
  public var minorVersion: Int
  public var fields: [HTTPField]

  public init(method: String = "GET", target: String, minorVersion: Int = 1, fields: [HTTPField]) {
    self.method = method
    self.target = target
    self.minorVersion = minorVersion
    self.fields = fields
  }

  /// As octets on the wire.
  public var encoded: [UInt8] { encodeHead("\(method) \(target) HTTP/1.\(minorVersion)", fields) }
}

/// The head of an HTTP/1.x response.
public struct ResponseHead: Hashable, Sendable {
  public var status: Int
  public var reason: String
  public var minorVersion: Int
  public var fields: [HTTPField]

  public init(status: Int, reason: String, minorVersion: Int = 1, fields: [HTTPField]) {
    self.status = status
    self.reason = reason
    self.minorVersion = minorVersion
    self.fields = fields
  }

  /// As octets on the wire.
  public var encoded: [UInt8] { encodeHead("HTTP/1.\(minorVersion) \(status) \(reason)", fields) }
}

private func encodeHead(_ line: String, _ fields: [HTTPField]) -> [UInt8] {
  var text = line + "\r\n"
  for field in fields { text += "\(field.name): \(field.value)\r\n" }
  text += "\r\n"
  return Array(text.utf8)
}

extension [HTTPField] {
  /// The values of all lines with this name, in order.
  func values(_ name: String) -> [String] {
    let name = name.asciiLowercased
    return compactMap { $0.name.asciiLowercased == name ? $0.value : nil }
  }

  /// The members of a comma-separated list that may stand on several lines (RFC 9110 §5.6.1); empty ones are ignored.
  func list(_ name: String) -> [String] {
    values(name).flatMap { $0.split(separator: ",").map { String($0).trimmedOfBlanks }.filter { !$0.isEmpty } }
  }

  /// Whether the list has this member, without regard to case.
  func hasToken(_ token: String, in name: String) -> Bool {
    list(name).contains { $0.asciiLowercased == token }
  }
}
