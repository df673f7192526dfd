/// One statement's text. Its identity is the key of the prepared statement, so that the hot path neither hashes nor
/// compares text: keep each in a `static let`.
final class SQL: Sendable {
  let text: String
  /// It changes jobs, tries, miners or accounts by another way than the methods that keep ``WriterCache`` in step, so
  /// what the writer remembers of them must be forgotten. Seen from the text; `keepsCache` says that it is not so.
  let changesHotRows: Bool

  init(_ text: String, keepsCache: Bool = false) {
    self.text = text
    changesHotRows = !keepsCache && Self.changesHotRows(text)
  }

  static func changesHotRows(_ text: String) -> Bool {
    // Without Foundation there is no `contains` for texts: words suffice, since SQL keywords stand alone.
    let words = text.split { $0 == " " || $0 == "\n" || $0 == "(" }
    return zip(words, words.dropFirst()).contains { verb, table in
      ["UPDATE", "FROM", "INTO"].contains(verb) && ["jobs", "tries", "miners", "accounts"].contains(table)
    } && ["UPDATE", "DELETE", "INSERT", "REPLACE", "WITH"].contains(words.first ?? "")
  }
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
