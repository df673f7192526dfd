import GRDB
import GRDBSQLite
import Glibc

extension StoreError {
  /// What SQLite's result code means for the market.
  init(code: Int32, handle: OpaquePointer) {
    let system = sqlite3_system_errno(handle)
    switch code & 0xFF {
    case SQLITE_FULL: self = .diskFull
    // The write-ahead log and its index report a full disk as a failed write, with the reason beside it.
    case SQLITE_IOERR where system == ENOSPC || system == EDQUOT: self = .diskFull
    default: self = .failed("SQLite \(code): " + String(cString: sqlite3_errmsg(handle)))
    }
  }

  init(_ error: DatabaseError) {
    self =
      error.resultCode == .SQLITE_FULL ? .diskFull : .failed("SQLite \(error.extendedResultCode.rawValue): \(error)")
  }

  /// A row that this program can't have written.
  static func damaged(_ what: String) -> Self { .failed("damaged row: " + what) }
}
