import Marketplace
import Store

extension FileStore {
  /// How many bytes of a log can be read; 0 when it was never begun.
  func logLength(_ job: JobID, tryNumber: Int, stream: LogStream) throws -> Int64 {
    do {
      return try readLog(job, tryNumber: tryNumber, stream: stream).size()
    } catch FileStoreError.notFound {
      return 0
    }
  }
}
