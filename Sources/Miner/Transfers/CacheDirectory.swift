import Cryptography
import Glibc
import ResultPackage

/// The files of a ``BlobCache``. All calls block on the disk.
struct CacheDirectory: Sendable {
  enum Copy: Hashable, Sendable {
    case copied
    case missing
    /// Its bytes were not those of its name; it is removed.
    case damaged
  }

  let limit: Int64
  private let directory: String

  private static let pieceBytes = 1 << 20
  private static let partSuffix = ".part"

  /// Makes the folder, and makes it fit its limit. Throws `FileError`.
  init(path: String, limit: Int64) throws {
    directory = path
    self.limit = limit
    guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
      throw FileError(path: path, operation: "make a folder at", code: errno)
    }
    try evict(to: limit, keeping: [])
  }

  func path(_ digest: SHA256Digest) -> String { directory + "/" + digest.hex }
  func partPath(_ digest: SHA256Digest) -> String { path(digest) + Self.partSuffix }

  /// Copies a blob into an open file, from its start, and checks the very bytes that were copied.
  func copy(_ digest: SHA256Digest, to target: Int32, name: String) throws -> Copy {
    let path = path(digest)
    let source: FileSource
    do {
      source = try FileSource(path: path)
    } catch let error as FileError where error.code == ENOENT {
      return .missing
    }
    let hasher = SHA256()
    guard ftruncate(target, 0) == 0, lseek(target, 0, SEEK_SET) == 0 else {
      throw FileError(path: name, operation: "truncate", code: errno)
    }
    let sink = FileDescriptorSink(descriptor: target, path: name)
    var offset: UInt64 = 0
    while offset < source.size {
      let piece = try source.bytes(at: offset, count: Int(min(source.size - offset, UInt64(Self.pieceBytes))))
      hasher.update(piece)
      try piece.withUnsafeBytes { try sink.write($0) }
      offset += UInt64(piece.count)
    }
    guard hasher.finalize() == digest else {
      unlink(path)
      _ = ftruncate(target, 0)
      return .damaged
    }
    // The time of its last use, which the order of eviction goes by.
    utimensat(AT_FDCWD, path, nil, 0)
    return .copied
  }

  /// Removes what was not used for the longest time until at most `bytes` are left. Parts that nobody has gone on with
  /// count and go like the others.
  func evict(to bytes: Int64, keeping: Set<SHA256Digest>) throws {
    var files = try entries()
    var total = files.reduce(0) { $0 + $1.size }
    guard total > bytes else { return }
    files.sort { ($0.used.tv_sec, $0.used.tv_nsec) < ($1.used.tv_sec, $1.used.tv_nsec) }
    for file in files where total > bytes && !keeping.contains(file.digest) {
      unlink(directory + "/" + file.name)
      total -= file.size
    }
  }

  private struct Entry {
    let name: String
    let digest: SHA256Digest
    let size: Int64
    let used: timespec
  }

  private func entries() throws -> [Entry] {
    guard let folder = opendir(directory) else { throw FileError(path: directory, operation: "list", code: errno) }
    defer { closedir(folder) }
    return DirectoryEntries.names(in: folder, limit: .max).compactMap { bytes -> Entry? in
      guard let name = String(validating: bytes, as: UTF8.self) else { return nil }
      let hex = name.hasSuffix(Self.partSuffix) ? String(name.dropLast(Self.partSuffix.count)) : name
      var status = stat()
      guard let digest = SHA256Digest(hex: hex), lstat(directory + "/" + name, &status) == 0 else { return nil }
      return Entry(name: name, digest: digest, size: Int64(status.st_size), used: status.st_mtim)
    }
  }
}
