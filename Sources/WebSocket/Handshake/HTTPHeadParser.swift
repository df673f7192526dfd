/// Why an HTTP head cannot be read.
public struct HTTPHeadError: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  public static let tooLarge = HTTPHeadError(description: "the HTTP head is larger than the limit")
  public static let badStartLine = HTTPHeadError(description: "the first line is not HTTP/1.x")
  public static let badField = HTTPHeadError(description: "a header line is malformed")
  public static let badLineEnd = HTTPHeadError(description: "a line does not end with CR LF")
}

/// Collects an HTTP/1.x head from octets in any pieces and parses it strictly (RFC 9112): CR LF at the end of each line,
/// no folded lines, no blanks before a colon, no control characters.
public struct HTTPHeadParser: Sendable {
  /// Bytes of a head, the empty line included. Default 16 KiB. Past it: `tooLarge`.
  public static let defaultMaximumSize = 16 << 10

  private let maximumSize: Int
  private var bytes: [UInt8] = []

  public init(maximumSize: Int = defaultMaximumSize) { self.maximumSize = maximumSize }

  /// Takes octets off the front of `input` up to and including the empty line; true when the head is whole. What
  /// follows the head stays in `input`.
  public mutating func append(_ input: inout UnsafeRawBufferPointer) throws(HTTPHeadError) -> Bool {
    var index = 0
    defer { input = UnsafeRawBufferPointer(rebasing: input[index...]) }
    while index < input.count {
      guard bytes.count < maximumSize else { throw .tooLarge }
      let octet = input[index]
      index += 1
      if octet == UInt8(ascii: "\n"), bytes.last != UInt8(ascii: "\r") { throw .badLineEnd }
      bytes.append(octet)
      if octet == UInt8(ascii: "\n"), bytes.count >= 4, bytes[bytes.count - 3] == UInt8(ascii: "\n") { return true }
    }
    return false
  }

  /// The whole head as a request.
  public func request() throws(HTTPHeadError) -> RequestHead {
    let (start, fields) = try lines()
    let parts = start.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
    guard parts.count == 3, let minor = Self.minorVersion(parts[2]) else { throw .badStartLine }
    let method = String(decoding: parts[0], as: UTF8.self)
    guard method.isToken, !parts[1].isEmpty, parts[1].allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
      throw .badStartLine
    }
    return RequestHead(
      method: method, target: String(decoding: parts[1], as: UTF8.self), minorVersion: minor, fields: fields)
  }

  /// The whole head as a response.
  public func response() throws(HTTPHeadError) -> ResponseHead {
    let (start, fields) = try lines()
    let parts = start.split(separator: UInt8(ascii: " "), maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count >= 2, let minor = Self.minorVersion(parts[0]), parts[1].count == 3,
      let status = Int(String(decoding: parts[1], as: UTF8.self)), (100...599).contains(status)
    else { throw .badStartLine }
    let reason = parts.count == 3 ? String(decoding: parts[2], as: UTF8.self) : ""
    return ResponseHead(status: status, reason: reason, minorVersion: minor, fields: fields)
  }

  private static func minorVersion(_ text: ArraySlice<UInt8>) -> Int? {
    switch String(decoding: text, as: UTF8.self) {
    case "HTTP/1.1": 1
    case "HTTP/1.0": 0
    default: nil
    }
  }

  private func lines() throws(HTTPHeadError) -> (start: ArraySlice<UInt8>, fields: [HTTPField]) {
    var lines: [ArraySlice<UInt8>] = []
    for line in bytes.split(separator: UInt8(ascii: "\n")) {
      guard line.last == UInt8(ascii: "\r") else { throw .badLineEnd }
      if line.count > 1 { lines.append(line.dropLast()) }
    }
    guard let start = lines.first, !start.contains(where: { $0 < 0x20 || $0 == 0x7F }) else { throw .badStartLine }
    var fields: [HTTPField] = []
    for line in lines.dropFirst() { fields.append(try Self.field(line)) }
    return (start, fields)
  }

  private static func field(_ line: ArraySlice<UInt8>) throws(HTTPHeadError) -> HTTPField {
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { throw .badField }
    let value = String(decoding: line[(colon + 1)...], as: UTF8.self).trimmedOfBlanks
    let field = HTTPField(String(decoding: line[..<colon], as: UTF8.self), value)
    guard field.isWellFormed else { throw .badField }
    return field
  }
}
