import Glibc
import Synchronization

/// Another process works on the data directory. Nothing was changed.
public struct DataDirectoryInUse: Error, Hashable, Sendable, CustomStringConvertible {
  public let directory: String
  /// Nil when it could not be read.
  public let process: Int32?

  public var description: String {
    "data directory \(directory) is in use by " + (process.map { "process \($0)" } ?? "another process")
  }
}

/// Keeps a second coordinator out of a data directory: an advisory lock on its file `lock`, which holds the owner's
/// process number. The kernel drops the lock with the process, so a crash leaves nothing to clean up.
final class DataDirectoryLock: Sendable {
  private let descriptor: Mutex<Int32?>

  /// Makes the directory. Throws ``DataDirectoryInUse`` or ``FileStoreError``.
  init(directory: String) throws {
    try POSIXFile.makeDirectories(directory)
    let path = directory + "/lock"
    let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw FileStoreError.last("open", path) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let code = errno
      let owner = Self.owner(descriptor)
      close(descriptor)
      if code == EWOULDBLOCK { throw DataDirectoryInUse(directory: directory, process: owner) }
      throw FileStoreError(code: code, "flock", path)
    }
    let text = Array("\(getpid())\n".utf8)
    ftruncate(descriptor, 0)
    _ = text.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
    self.descriptor = Mutex(descriptor)
  }

  deinit { release() }

  func release() {
    descriptor.withLock { descriptor in
      if let open = descriptor { close(open) }
      descriptor = nil
    }
  }

  private static func owner(_ descriptor: Int32) -> Int32? {
    var buffer = [UInt8](repeating: 0, count: 16)
    let count = buffer.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
    guard count > 0 else { return nil }
    return Int32(String(decoding: buffer.prefix(count), as: UTF8.self).prefix { $0.isNumber })
  }
}
