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

  func bind(_ values: [SQLValue]) {
    for (index, value) in values.enumerated() { bind(value, at: Int32(index + 1)) }
  }

  private func bind(_ value: SQLValue, at index: Int32) {
    // A failure (out of range, no memory) leaves null behind, which the schema's NOT NULL turns into an error.
    switch value {
    case .null: sqlite3_bind_null(handle, index)
    case .int64(let number): sqlite3_bind_int64(handle, index, number)
    case .string(var text):
      text.withUTF8 { bytes in
        // A null address would bind null, not the empty text.
        let address = UnsafeRawPointer(bytes.baseAddress)?.assumingMemoryBound(to: CChar.self)
        if let address, !bytes.isEmpty {
          sqlite3_bind_text(handle, index, address, Int32(clamping: bytes.count), Self.copies)
        } else {
          sqlite3_bind_text(handle, index, "", 0, Self.copies)
        }
      }
    case .bytes(let bytes):
      _ = bytes.withUnsafeBytes { buffer in
        buffer.isEmpty
          ? sqlite3_bind_zeroblob(handle, index, 0)
          : sqlite3_bind_blob(handle, index, buffer.baseAddress, Int32(clamping: buffer.count), Self.copies)
      }
    }
  }

  /// SQLITE_TRANSIENT, a cast that isn't imported: SQLite copies the bytes.
  private static var copies: sqlite3_destructor_type { unsafeBitCast(-1, to: sqlite3_destructor_type.self) }
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
