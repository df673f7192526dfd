import Glibc

/// What an `errno` means, in the C library's words.
func errorText(_ code: Int32) -> String {
  withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
    guard let storage = buffer.baseAddress, strerror_r(code, storage, buffer.count) == 0 else { return "error \(code)" }
    return String(cString: storage)
  }
}

/// An open file descriptor that is closed when the last reference goes.
final class OpenFile: Sendable {
  let descriptor: Int32
  let path: String

  /// Opens with `O_CLOEXEC` added. Throws ``ClientError/file(path:operation:code:)``.
  init(_ path: String, _ flags: Int32, mode: mode_t = 0o666) throws(ClientError) {
    let descriptor = open(path, flags | O_CLOEXEC, mode)
    guard descriptor >= 0 else { throw .file(path: path, operation: "open", code: errno) }
    self.descriptor = descriptor
    self.path = path
  }

  deinit { close(descriptor) }

  func failure(_ operation: String) -> ClientError { .file(path: path, operation: operation, code: errno) }

  /// The size in bytes of a regular file; anything else is refused.
  func regularSize() throws(ClientError) -> Int64 {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw failure("fstat") }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw .file(path: path, operation: "open", code: status.st_mode & S_IFMT == S_IFDIR ? EISDIR : EINVAL)
    }
    return Int64(status.st_size)
  }

  /// Reads up to `count` bytes; fewer only at the end of the file.
  func read(at offset: Int64, count: Int) throws(ClientError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let got = bytes.withUnsafeMutableBytes { buffer in
        pread(descriptor, buffer.baseAddress.map { $0 + filled }, count - filled, off_t(offset) + off_t(filled))
      }
      if got < 0 && errno == EINTR { continue }
      guard got >= 0 else { throw failure("read") }
      if got == 0 { break }
      filled += got
    }
    bytes.removeLast(count - filled)
    return bytes
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(ClientError) {
    var written = 0
    while written < bytes.count {
      let count = pwrite(
        descriptor, bytes.baseAddress.map { $0 + written }, bytes.count - written, off_t(offset) + off_t(written))
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw failure("write") }
      written += count
    }
  }
}
