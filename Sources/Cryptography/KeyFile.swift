import Glibc

extension Ed25519PrivateKey {
  /// A key file's largest size in bytes; a PEM block has 119.
  static let maximumFileSize = 4096

  /// Reads a PEM block or 32 raw bytes.
  ///
  /// Refuses a file that its group or others may read or write, one that is no regular file, and one over 4 KiB.
  public static func load(from path: String) throws(CryptographyError) -> Ed25519PrivateKey {
    let bytes = try readPrivateFile(path)
    if bytes.count == byteCount { return try Ed25519PrivateKey(rawBytes: bytes) }
    return try Ed25519PrivateKey(pem: String(decoding: bytes, as: UTF8.self))
  }

  /// Writes the PEM block with mode 0600: complete under its name or not at all, also after a power cut.
  ///
  /// - Parameter replacing: whether a file of that name may be replaced; if not, it stays and `EEXIST` is thrown.
  public func store(to path: String, replacing: Bool = false) throws(CryptographyError) {
    let temporary = "\(path).\(secureToken(prefix: "new-", bytes: 9))"
    try writePrivateFile(temporary, Array(try pem().utf8), reportedAs: path)
    if replacing {
      guard rename(temporary, path) == 0 else { throw removing(temporary, fileError(path, "rename")) }
    } else {
      // link(2), unlike rename(2), never replaces.
      guard link(temporary, path) == 0 else { throw removing(temporary, fileError(path, "link")) }
      unlink(temporary)
    }
    try synchronizeFolder(of: path)
  }

  /// Reads the key at `path`, or makes one there when there is no such file. Of several processes that start at once
  /// all get the same key.
  public static func loadOrCreate(at path: String) throws(CryptographyError) -> Ed25519PrivateKey {
    do {
      return try load(from: path)
    } catch .file(_, _, code: ENOENT) {
      do {
        let key = try generate()
        try key.store(to: path)
        return key
      } catch .file(_, _, code: EEXIST) {
        return try load(from: path)
      }
    }
  }
}

private func fileError(_ path: String, _ operation: String) -> CryptographyError {
  .file(path: path, operation: operation, code: errno)
}

private func removing(_ temporary: String, _ error: CryptographyError) -> CryptographyError {
  unlink(temporary)
  return error
}

private func readPrivateFile(_ path: String) throws(CryptographyError) -> [UInt8] {
  // O_NONBLOCK: opening a pipe of that name must not hang.
  let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
  guard descriptor >= 0 else { throw fileError(path, "open") }
  defer { close(descriptor) }
  var status = stat()
  guard fstat(descriptor, &status) == 0 else { throw fileError(path, "fstat") }
  guard status.st_mode & S_IFMT == S_IFREG else { throw .invalidKey(reason: "\(path) is no regular file") }
  guard status.st_mode & 0o077 == 0 else {
    throw .insecurePermissions(path: path, mode: status.st_mode & 0o7777)
  }
  var bytes = [UInt8](repeating: 0, count: Ed25519PrivateKey.maximumFileSize + 1)
  var count = 0
  while count < bytes.count {
    let got = bytes.withUnsafeMutableBytes { buffer in
      read(descriptor, buffer.baseAddress.map { $0 + count }, buffer.count - count)
    }
    if got < 0 && errno == EINTR { continue }
    guard got >= 0 else { throw fileError(path, "read") }
    if got == 0 { break }
    count += got
  }
  guard count <= Ed25519PrivateKey.maximumFileSize else { throw .invalidKey(reason: "\(path) is over 4 KiB") }
  return Array(bytes[..<count])
}

private func writePrivateFile(
  _ path: String, _ bytes: [UInt8], reportedAs name: String
) throws(CryptographyError) {
  let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
  guard descriptor >= 0 else { throw fileError(name, "open") }
  defer { close(descriptor) }
  var written = 0
  while written < bytes.count {
    let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress.map { $0 + written }, $0.count - written) }
    if count < 0 && errno == EINTR { continue }
    guard count >= 0 else { throw removing(path, fileError(name, "write")) }
    written += count
  }
  guard fsync(descriptor) == 0 else { throw removing(path, fileError(name, "fsync")) }
}

/// Makes a new name in the file's folder survive a power cut.
private func synchronizeFolder(of path: String) throws(CryptographyError) {
  let folder: String
  if let slash = path.lastIndex(of: "/") {
    folder = slash == path.startIndex ? "/" : String(path[..<slash])
  } else {
    folder = "."
  }
  let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
  guard descriptor >= 0 else { throw fileError(folder, "open") }
  defer { close(descriptor) }
  guard fsync(descriptor) == 0 else { throw fileError(folder, "fsync") }
}
