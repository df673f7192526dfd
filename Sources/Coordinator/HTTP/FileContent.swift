import NIOConcurrencyHelpers
import NIOCore
import ResultPackage
import Store

/// Bytes to serve: a stretch of a file, or a deflated file inside a package.
enum FileContent: Sendable {
  case file(StoredFile, offset: Int64)
  case packed(PackedContent)

  /// Up to `count` bytes from `offset`; fewer at the end. Blocks on the disk.
  func read(offset: Int64, count: Int) throws -> ByteBuffer {
    switch self {
    case .file(let file, let base):
      var buffer = ByteBufferAllocator().buffer(capacity: count)
      try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { bytes in
        let part = UnsafeMutableRawBufferPointer(rebasing: bytes[..<count])
        return try file.read(into: part, offset: base + offset)
      }
      return buffer
    case .packed(let content): return ByteBuffer(bytes: try content.read(offset: offset, count: count))
    }
  }
}

/// A deflated file of a package, read by one answer. It stays readable when the package is removed meanwhile.
///
/// `@unchecked Sendable`: the cursor is used under the lock only.
final class PackedContent: @unchecked Sendable {
  private let lock = NIOLock()
  private let cursor: ZipEntryCursor
  private let source: StoredSource

  init(_ entry: ZipEntry, _ source: StoredSource) {
    cursor = ZipEntryCursor(entry)
    self.source = source
  }

  func read(offset: Int64, count: Int) throws -> [UInt8] {
    try lock.withLock { try cursor.read(from: source, at: UInt64(offset), count: count) }
  }
}
