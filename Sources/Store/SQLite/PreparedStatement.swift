import GRDB
import GRDBSQLite

/// A compiled statement that is run many times.
struct PreparedStatement {
  /// Owns the handle.
  private let owner: Statement
  let handle: OpaquePointer

  init(_ statement: Statement) {
    owner = statement
    handle = statement.sqliteStatement
  }

  func step() -> Int32 { sqlite3_step(handle) }

  func reset() {
    // Its code repeats that of the last step, which was looked at.
    sqlite3_reset(handle)
  }
}

/// The current row of a statement; valid only in the closure that got it. Columns count from 0.
struct Row {
  let statement: OpaquePointer

  func isNull(_ column: Int32) -> Bool { sqlite3_column_type(statement, column) == SQLITE_NULL }
  func int64(_ column: Int32) -> Int64 { sqlite3_column_int64(statement, column) }
  func int(_ column: Int32) -> Int { Int(sqlite3_column_int64(statement, column)) }
  func flag(_ column: Int32) -> Bool { sqlite3_column_int64(statement, column) != 0 }
  func optionalInt64(_ column: Int32) -> Int64? { isNull(column) ? nil : int64(column) }
  func optionalInt(_ column: Int32) -> Int? { isNull(column) ? nil : int(column) }

  /// Bytes of a text in UTF-8, or of a blob.
  func byteCount(_ column: Int32) -> Int { withBytes(column, \.count) }

  func text(_ column: Int32) -> String {
    withBytes(column) { String(decoding: $0, as: UTF8.self) }
  }

  func optionalText(_ column: Int32) -> String? { isNull(column) ? nil : text(column) }

  /// A text's or blob's bytes, valid in `body`.
  func withBytes<Value>(_ column: Int32, _ body: (UnsafeBufferPointer<UInt8>) throws -> Value) rethrows -> Value {
    // The address first: it fixes the encoding that the count is given in.
    let address = sqlite3_column_blob(statement, column)
    let count = Int(sqlite3_column_bytes(statement, column))
    return try body(
      UnsafeBufferPointer(start: address?.assumingMemoryBound(to: UInt8.self), count: address == nil ? 0 : count))
  }
}
