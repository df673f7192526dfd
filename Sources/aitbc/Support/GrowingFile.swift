import Glibc
import MarketplaceClient

/// A file that is written piece by piece and gets its name when it is whole and on disk.
final class GrowingFile {
  private let path: String
  private let temporary: String
  private let descriptor: Int32
  private(set) var length: Int64 = 0

  init(_ path: String, mode: mode_t = 0o666) throws(ClientError) {
    self.path = path
    temporary = "\(path).\(getpid()).new"
    unlink(temporary)
    descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
    guard descriptor >= 0 else { throw .file(path: path, operation: "open", code: errno) }
  }

  deinit { close(descriptor) }

  func append(_ bytes: [UInt8]) throws(ClientError) {
    var written = 0
    while written < bytes.count {
      let count = bytes.withUnsafeBytes {
        write(descriptor, $0.baseAddress.map { $0 + written }, bytes.count - written)
      }
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw .file(path: path, operation: "write", code: errno) }
      written += count
    }
    length += Int64(bytes.count)
  }

  func finish() throws(ClientError) {
    guard fsync(descriptor) == 0, rename(temporary, path) == 0 else {
      throw .file(path: path, operation: "write", code: errno)
    }
  }

  /// Leaves nothing behind.
  func abandon() { unlink(temporary) }
}
