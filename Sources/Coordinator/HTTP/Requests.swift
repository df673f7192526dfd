import Cryptography
import HTTPTypes
import Hummingbird
import JSON
import Marketplace
import NIOCore
import Wire

extension Request {
  /// The API key of the request; `X-Api-Key` first, then `Authorization: Bearer`.
  var apiKey: String? {
    if let key = headers[.apiKey] { return key }
    guard let value = headers[.authorization] else { return nil }
    let parts = value.split(separator: " ", maxSplits: 1)
    guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
    return String(parts[1])
  }

  /// Reads the whole body. Throws 413 past `limit`.
  func bytes(limit: Int) async throws -> [UInt8] {
    if let length = headers[.contentLength].flatMap(Int.init), length > limit { throw Self.tooLarge(limit) }
    ExpectContinue.send()
    var bytes: [UInt8] = []
    for try await part in body {
      guard bytes.count + part.readableBytes <= limit else { throw Self.tooLarge(limit) }
      bytes.append(contentsOf: part.readableBytesView)
    }
    return bytes
  }

  private static func tooLarge(_ limit: Int) -> Problem {
    Problem(413, "body_too_large", "the body is larger than \(limit) bytes")
  }

  /// A JSON body. Throws 400 for what is not JSON. An empty body is an empty object when `isOptional`.
  static func json(_ bytes: [UInt8], isOptional: Bool = false) throws -> JSONValue {
    if bytes.isEmpty, isOptional { return .object(JSONObject()) }
    do {
      return try JSONParser.parse(bytes)
    } catch {
      throw Problem(400, "invalid_json", "the body is not JSON: \(error)")
    }
  }

  /// The `Idempotency-Key` with a digest of what is asked. Nil without the header.
  func idempotency(_ body: [UInt8]) throws -> Idempotency? {
    guard let key = headers[.idempotencyKey] else { return nil }
    guard (1...255).contains(key.utf8.count) else {
      throw Problem.invalid([FieldError("Idempotency-Key", "must have 1 to 255 characters")])
    }
    let identity = Array("\(method) \(uri.path)\n".utf8) + body
    return Idempotency(key: key, requestHash: SHA256.hash(identity).hex)
  }

  /// `Prefer: return=minimal` (RFC 7240 §4.2).
  var prefersMinimal: Bool {
    headers[values: .prefer].contains { value in
      value.split(separator: ",").contains { preference in
        let word = preference.prefix { $0 != ";" }.filter { $0 != " " && $0 != "\t" && $0 != "\"" }
        return word.lowercased() == "return=minimal"
      }
    }
  }

  /// The query as names and values. Throws 422 for names that are not among `known` and for names that stand twice
  /// unless they are in `repeatable`.
  func query(_ known: Set<String>, repeatable: Set<String> = []) throws -> QueryReader {
    var values: [String: [String]] = [:]
    var errors: [FieldError] = []
    for pair in (uri.query ?? "").split(separator: "&") {
      let ends = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let (name, value) = (Self.decoded(ends[0]), Self.decoded(ends.count > 1 ? ends[1] : ""))
      if !known.contains(name) { errors.append(FieldError(name, "unknown query parameter")) }
      if values[name] != nil, !repeatable.contains(name) { errors.append(FieldError(name, "stands twice")) }
      values[name, default: []].append(value)
    }
    guard errors.isEmpty else { throw Problem.invalid(errors) }
    return QueryReader(values: values)
  }

  /// As forms write it: `+` is a blank. Most clients' libraries send blanks so.
  private static func decoded(_ text: Substring) -> String {
    PercentDecoding.decode(text.contains("+") ? Substring(text.replacing("+", with: " ")) : text)
  }
}

/// Reads query parameters, collecting every fault.
struct QueryReader {
  let values: [String: [String]]
  private(set) var errors: [FieldError] = []

  init(values: [String: [String]]) { self.values = values }

  mutating func fail(_ name: String, _ message: String) { errors.append(FieldError(name, message)) }

  func string(_ name: String) -> String? { values[name]?.first.flatMap { $0.isEmpty ? nil : $0 } }

  /// All values of a name, with comma lists taken apart.
  func list(_ name: String) -> [String] {
    (values[name] ?? []).flatMap { $0.split(separator: ",").map(String.init) }
  }

  mutating func integer(_ name: String, in range: ClosedRange<Int64>) -> Int64? {
    guard let text = string(name) else { return nil }
    guard let number = Int64(text), range.contains(number) else {
      fail(name, "must be a whole number between \(range.lowerBound) and \(range.upperBound)")
      return nil
    }
    return number
  }

  /// `1`, `true`, `yes` or an empty value are true.
  mutating func flag(_ name: String) -> Bool {
    guard let text = values[name]?.first else { return false }
    switch text.lowercased() {
    case "", "1", "true", "yes": return true
    case "0", "false", "no": return false
    default:
      fail(name, "must be 1 or 0")
      return false
    }
  }

  /// A moment. A bare date means its first moment, or its last when `endOfDay`.
  mutating func timestamp(_ name: String, endOfDay: Bool = false) -> Timestamp? {
    guard let text = string(name) else { return nil }
    // A `+` of an offset arrives as a space when it was not escaped.
    if let time = Timestamp(rfc3339: text) ?? Timestamp(rfc3339: text.replacing(" ", with: "+")) { return time }
    guard let day = Timestamp(date: text) else {
      fail(name, "must be a date such as 2026-01-31 or an RFC 3339 time")
      return nil
    }
    return endOfDay ? day + .days(1) : day
  }

  func check() throws {
    guard errors.isEmpty else { throw Problem.invalid(errors) }
  }
}
