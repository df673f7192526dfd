import Glibc
import MarketplaceClient

/// Whole files of bounded size.
enum SmallFile {
  /// Throws ``ClientError/file(path:operation:code:)`` (`EFBIG` for one over `limit`).
  static func read(_ path: String, limit: Int) throws(ClientError) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .file(path: path, operation: "open", code: errno) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw .file(path: path, operation: "read", code: errno) }
      if count == 0 { return bytes }
      bytes += chunk[..<count]
      guard bytes.count <= limit else { throw .file(path: path, operation: "read", code: EFBIG) }
    }
  }

  /// Complete under its name, or not at all.
  static func replace(_ path: String, with bytes: [UInt8], mode: mode_t = 0o666) throws(ClientError) {
    let temporary = "\(path).\(getpid()).new"
    unlink(temporary)
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
    guard descriptor >= 0 else { throw .file(path: path, operation: "open", code: errno) }
    var written = 0
    while written < bytes.count {
      let count = bytes.withUnsafeBytes {
        write(descriptor, $0.baseAddress.map { $0 + written }, bytes.count - written)
      }
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else {
        let code = errno
        close(descriptor)
        unlink(temporary)
        throw .file(path: path, operation: "write", code: code)
      }
      written += count
    }
    let isSafe = fsync(descriptor) == 0
    close(descriptor)
    guard isSafe, rename(temporary, path) == 0 else {
      let code = errno
      unlink(temporary)
      throw .file(path: path, operation: "write", code: code)
    }
  }

  /// Makes the folders that a file's path names.
  static func makeFolders(for path: String) throws(ClientError) {
    guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return }
    try makeFolder(String(path[..<slash]))
  }

  /// Makes a folder with all above it; one that is there is fine.
  static func makeFolder(_ path: String) throws(ClientError) {
    var current = path.hasPrefix("/") ? "" : "."
    for part in path.split(separator: "/") {
      current += "/" + part
      guard mkdir(current, 0o777) == 0 || errno == EEXIST else {
        throw .file(path: path, operation: "mkdir", code: errno)
      }
    }
    if case .success(let status) = FileStatus.of(path), status.kind != .folder {
      throw .file(path: path, operation: "use as a folder", code: ENOTDIR)
    }
  }

  static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }
}
