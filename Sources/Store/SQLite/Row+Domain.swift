import JSON
import Marketplace

extension SQLValue {
  static func id<Kind>(_ id: Identifier<Kind>?) -> Self { id.map { .string($0.rawValue) } ?? .null }
  static func time(_ time: Timestamp) -> Self { .int64(time.milliseconds) }
  static func time(_ time: Timestamp?) -> Self { time.map { .int64($0.milliseconds) } ?? .null }
  static func json(_ value: JSONValue?) -> Self { value.map { .string($0.text) } ?? .null }
}

extension Row {
  func time(_ column: Int32) -> Timestamp { Timestamp(milliseconds: int64(column)) }
  func optionalTime(_ column: Int32) -> Timestamp? { optionalInt64(column).map(Timestamp.init(milliseconds:)) }

  func id<Kind>(_ column: Int32, _: Kind.Type = Kind.self) throws -> Identifier<Kind> {
    let text = text(column)
    guard let id = Identifier<Kind>(text) else { throw StoreError.damaged("identifier \(text)") }
    return id
  }

  func optionalID<Kind>(_ column: Int32, _: Kind.Type = Kind.self) throws -> Identifier<Kind>? {
    isNull(column) ? nil : try id(column, Kind.self)
  }

  /// A word of an enumeration.
  func word<Word: RawRepresentable>(_ column: Int32, _: Word.Type = Word.self) throws -> Word
  where Word.RawValue == String {
    let text = text(column)
    guard let word = Word(rawValue: text) else { throw StoreError.damaged("\(Word.self) \(text)") }
    return word
  }

  func priority(_ column: Int32) throws -> Priority {
    guard let priority = Priority(rawValue: int(column)) else { throw StoreError.damaged("priority \(int(column))") }
    return priority
  }

  func json(_ column: Int32) throws -> JSONValue {
    do {
      return try withBytes(column) { try JSONParser.parse($0) }
    } catch let error as JSONSyntaxError {
      throw StoreError.damaged("JSON: \(error)")
    }
  }

  /// An SQL null is no value; the JSON null is one.
  func optionalJSON(_ column: Int32) throws -> JSONValue? { isNull(column) ? .none : .some(try json(column)) }

  /// A code in this column and its message in the next.
  func jobError(_ column: Int32) throws -> JobError? {
    isNull(column) ? nil : JobError(try word(column, JobErrorCode.self), text(column + 1))
  }
}
