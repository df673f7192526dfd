import GRDBSQLite

/// Where a statement's texts and bytes stand while it runs, so that SQLite need not copy each of them into memory of
/// its own. Statements that run inside another's loop take their place behind it. Belongs to one thread.
final class BindingBuffer {
  private var memory: UnsafeMutableRawPointer
  private var capacity: Int
  private var used = 0

  private static let initialSize = 16 << 10
  /// Statements with more have their values copied by SQLite.
  private static let largest = 1 << 20

  init() {
    capacity = Self.initialSize
    memory = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
  }

  deinit { memory.deallocate() }

  /// Binds the values to the parameters 1, 2, …. Give what it returns to ``release(_:)`` after the statement's reset.
  ///
  /// A binding that fails (out of range, no memory) leaves null behind, which the schema's NOT NULL turns into an error.
  func bind(_ values: [SQLValue], to statement: PreparedStatement) -> Int {
    let mark = used
    let keeps = makeRoom(for: Self.size(of: values))
    for (index, value) in values.enumerated() {
      let parameter = Int32(index + 1)
      switch value {
      case .null: sqlite3_bind_null(statement.handle, parameter)
      case .int64(let number): sqlite3_bind_int64(statement.handle, parameter, number)
      case .string(var text):
        text.withUTF8 { bytes in
          let (address, destructor) = place(UnsafeRawBufferPointer(bytes), keeps: keeps)
          let characters = address.assumingMemoryBound(to: CChar.self)
          sqlite3_bind_text(statement.handle, parameter, characters, Int32(clamping: bytes.count), destructor)
        }
      case .bytes(let bytes):
        bytes.withUnsafeBytes { bytes in
          let (address, destructor) = place(bytes, keeps: keeps)
          _ =
            bytes.isEmpty
            ? sqlite3_bind_zeroblob(statement.handle, parameter, 0)
            : sqlite3_bind_blob(statement.handle, parameter, address, Int32(clamping: bytes.count), destructor)
        }
      }
    }
    return mark
  }

  func release(_ mark: Int) { used = mark }

  /// Where the bytes are for SQLite, and who frees them. Never a null address, which would bind null.
  private func place(
    _ bytes: UnsafeRawBufferPointer, keeps: Bool
  ) -> (address: UnsafeRawPointer, destructor: sqlite3_destructor_type?) {
    guard keeps else { return (bytes.baseAddress ?? UnsafeRawPointer(memory), Self.copies) }
    let target = memory + used
    if let address = bytes.baseAddress { target.copyMemory(from: address, byteCount: bytes.count) }
    used += bytes.count
    return (UnsafeRawPointer(target), nil)
  }

  /// False when the texts can't stand here: too many, or an outer statement still reads where they would go.
  private func makeRoom(for size: Int) -> Bool {
    // One byte more, so that an empty text at the very end has an address too.
    guard used + size >= capacity else { return true }
    guard used == 0, size < Self.largest else { return false }
    memory.deallocate()
    capacity = max(size + 1, 2 * capacity)
    memory = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
    return true
  }

  private static func size(of values: [SQLValue]) -> Int {
    var size = 0
    for value in values {
      switch value {
      case .string(let text): size += text.utf8.count
      case .bytes(let bytes): size += bytes.count
      case .null, .int64: break
      }
    }
    return size
  }

  /// SQLITE_TRANSIENT, a cast that isn't imported: SQLite copies the bytes.
  private static var copies: sqlite3_destructor_type { unsafeBitCast(-1, to: sqlite3_destructor_type.self) }
}
