import GRDB
import GRDBSQLite

/// One SQLite connection with its prepared statements. Belongs to one thread.
///
/// GRDB opens, configures and migrates; statements run through the C interface, because binding and reading through
/// GRDB's value types costs as much again as SQLite itself takes for the short statements of the hot path.
final class Connection {
  private let database: Database
  let handle: OpaquePointer
  /// The text is kept with its statement, so that no other text can get its identity.
  private var prepared: [ObjectIdentifier: (sql: SQL, statement: PreparedStatement)] = [:]
  private let texts = BindingBuffer()
  /// Called before a statement that changes rows behind the back of what the writer remembers.
  var willChangeHotRows: () throws -> Void = {}
  private var dynamic: [String: PreparedStatement] = [:]
  /// Set when SQLite gave up the whole transaction of its own accord (a full disk, an I/O error): statements that
  /// followed would each commit by themselves.
  private(set) var abandoned: StoreError?
  /// The first failure since the last savepoint was opened. An operation that swallowed one must not succeed: what it
  /// wrote before may be half of something.
  private(set) var failure: StoreError?
  private var expectsTransaction = false

  /// Texts made at run time that stay prepared; more and all of them are dropped.
  private static let dynamicLimit = 256

  init(_ database: Database) throws {
    guard let handle = database.sqliteConnection else { throw StoreError.closed }
    self.database = database
    self.handle = handle
  }

  /// Runs a statement that gives no rows. Throws ``StoreError``.
  func execute(_ sql: SQL, _ values: [SQLValue] = []) throws {
    if sql.changesHotRows { try willChangeHotRows() }
    try run(statement(sql), values) { _ in false }
  }

  /// Calls `body` for each row. Throws ``StoreError`` and what `body` throws. `body` must not run the same statement.
  func forEach(_ sql: SQL, _ values: [SQLValue], _ body: (Row) throws -> Void) throws {
    try run(statement(sql), values) { row in
      try body(row)
      return true
    }
  }

  /// The first row, mapped; nil when there is none.
  func first<Value>(_ sql: SQL, _ values: [SQLValue] = [], _ map: (Row) throws -> Value) throws -> Value? {
    var result: Value?
    try run(statement(sql), values) { row in
      result = try map(row)
      return false
    }
    return result
  }

  /// All rows, mapped.
  func all<Value>(_ sql: SQL, _ values: [SQLValue] = [], _ map: (Row) throws -> Value) throws -> [Value] {
    var result: [Value] = []
    try run(statement(sql), values) { row in
      result.append(try map(row))
      return true
    }
    return result
  }

  /// All rows of a text made at run time, mapped.
  func all<Value>(dynamic sql: String, _ values: [SQLValue], _ map: (Row) throws -> Value) throws -> [Value] {
    var result: [Value] = []
    try run(statement(dynamic: sql), values) { row in
      result.append(try map(row))
      return true
    }
    return result
  }

  /// How many rows the last statement changed.
  var changes: Int { Int(sqlite3_changes(handle)) }
  /// How many rows were changed since the connection was opened.
  var totalChanges: Int64 { sqlite3_total_changes64(handle) }
  var lastInsertedKey: Int64 { sqlite3_last_insert_rowid(handle) }
  private var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }
}

// MARK: - Transactions

extension Connection {
  private enum Statements {
    static let begin = SQL("BEGIN")
    static let beginImmediate = SQL("BEGIN IMMEDIATE")
    static let commit = SQL("COMMIT")
    static let rollback = SQL("ROLLBACK")
    static let savepoint = SQL("SAVEPOINT operation")
    static let release = SQL("RELEASE operation")
    static let rollbackTo = SQL("ROLLBACK TO operation")
  }

  func begin(forWriting: Bool) throws {
    abandoned = nil
    try execute(forWriting ? Statements.beginImmediate : Statements.begin)
    expectsTransaction = true
  }

  func commit() throws {
    try execute(Statements.commit)
    expectsTransaction = false
  }

  /// Leaves no transaction open, whatever happened before.
  func rollback() {
    expectsTransaction = false
    abandoned = nil
    // A failure means that SQLite has rolled back already.
    if isInTransaction { try? execute(Statements.rollback) }
  }

  /// An operation begins: what failed before is not its failure.
  func beginOperation() { failure = nil }

  func openSavepoint() throws {
    beginOperation()
    try execute(Statements.savepoint)
  }

  func releaseSavepoint() throws { try execute(Statements.release) }

  func rollbackSavepoint() throws {
    try execute(Statements.rollbackTo)
    try execute(Statements.release)
  }
}

// MARK: - Statements

extension Connection {
  private func statement(_ sql: SQL) throws -> PreparedStatement {
    let key = ObjectIdentifier(sql)
    if let known = prepared[key] { return known.statement }
    let statement = try prepare(sql.text)
    prepared[key] = (sql, statement)
    return statement
  }

  private func statement(dynamic text: String) throws -> PreparedStatement {
    if let statement = dynamic[text] { return statement }
    if dynamic.count >= Self.dynamicLimit { dynamic.removeAll() }
    let statement = try prepare(text)
    dynamic[text] = statement
    return statement
  }

  private func prepare(_ text: String) throws -> PreparedStatement {
    do {
      return PreparedStatement(try database.makeStatement(sql: text))
    } catch let error as DatabaseError {
      throw StoreError(error)
    }
  }

  /// Runs until the end or until `body` returns false.
  private func run(
    _ statement: PreparedStatement, _ values: [SQLValue], _ body: (Row) throws -> Bool
  ) throws {
    if let abandoned { throw abandoned }
    let mark = texts.bind(values, to: statement)
    defer {
      statement.reset()
      texts.release(mark)
    }
    while true {
      let code = statement.step()
      switch code {
      case SQLITE_ROW:
        if try !body(Row(statement: statement.handle)) { return }
      case SQLITE_DONE: return
      default: throw note(code)
      }
    }
  }

  private func note(_ code: Int32) -> StoreError {
    let error = StoreError(code: code, handle: handle)
    failure = failure ?? error
    if expectsTransaction, !isInTransaction { abandoned = error }
    return error
  }
}
