/// One statement's text. Its identity is the key of the prepared statement, so that the hot path neither hashes nor
/// compares text: keep each in a `static let`.
final class SQL: Sendable {
  let text: String

  init(_ text: String) { self.text = text }
}

/// A value on its way into a statement.
enum SQLValue {
  case null
  case int64(Int64)
  case string(String)
  case bytes([UInt8])
}

extension SQLValue {
  static func integer(_ value: Int) -> Self { .int64(Int64(value)) }
  static func integer(_ value: Int?) -> Self { value.map { .int64(Int64($0)) } ?? .null }
  static func integer(_ value: Int64) -> Self { .int64(value) }
  static func integer(_ value: Int64?) -> Self { value.map(SQLValue.int64) ?? .null }
  static func text(_ value: String?) -> Self { value.map(SQLValue.string) ?? .null }
  static func flag(_ value: Bool) -> Self { .int64(value ? 1 : 0) }
}
