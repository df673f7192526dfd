import Glibc

/// Bytes that can be read at any place, of a fixed length.
public protocol RandomAccessSource: AnyObject {
  /// The length in bytes.
  var size: UInt64 { get }
  /// Fills `buffer` from `offset` on, or throws; never asked beyond `size`.
  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws
}

extension RandomAccessSource {
  /// `count` bytes from `offset` on.
  public func bytes(at offset: UInt64, count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    try bytes.withUnsafeMutableBytes { try read(at: offset, into: $0) }
    return bytes
  }
}

/// The file shrank while it was read.
public struct UnexpectedEndOfFile: Error, Equatable, Sendable {
  public let path: String

  public init(path: String) { self.path = path }
}

/// A regular file, read with pread(2).
public final class FileSource: RandomAccessSource {
  public let size: UInt64
  private let path: String
  private let descriptor: Int32
  private let ownsDescriptor: Bool

  /// Opens a file; it is closed with this object. Symbolic links in its last place are refused (`ELOOP`), and so is
  /// whatever is no regular file (`EISDIR`, `EINVAL`).
  public init(path: String) throws {
    // O_NONBLOCK: opening a pipe of that name must not hang.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { throw FileError(path: path, operation: "open", code: errno) }
    do {
      size = try Self.size(of: descriptor, path: path)
    } catch {
      close(descriptor)
      throw error
    }
    self.path = path
    self.descriptor = descriptor
    ownsDescriptor = true
  }

  /// Uses a descriptor of a regular file, which stays the caller's and must outlive this object.
  ///
  /// - Parameter path: the name to tell in errors.
  public init(descriptor: Int32, path: String = "") throws {
    size = try Self.size(of: descriptor, path: path)
    self.path = path
    self.descriptor = descriptor
    ownsDescriptor = false
  }

  deinit { if ownsDescriptor { close(descriptor) } }

  private static func size(of descriptor: Int32, path: String) throws -> UInt64 {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw FileError(path: path, operation: "fstat", code: errno) }
    let kind = status.st_mode & S_IFMT
    guard kind == S_IFREG else {
      throw FileError(path: path, operation: "open", code: kind == S_IFDIR ? EISDIR : EINVAL)
    }
    return UInt64(status.st_size)
  }

  public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws {
    var done = 0
    while done < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let count = pread(descriptor, rest.baseAddress, rest.count, off_t(offset) + off_t(done))
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw FileError(path: path, operation: "read", code: errno) }
      guard count > 0 else { throw UnexpectedEndOfFile(path: path) }
      done += count
    }
  }
}

/// Bytes in memory.
public final class BytesSource: RandomAccessSource {
  public let size: UInt64
  private let bytes: [UInt8]

  public init(_ bytes: [UInt8]) {
    self.bytes = bytes
    size = UInt64(bytes.count)
  }

  public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws {
    guard offset <= size, UInt64(buffer.count) <= size - offset else { throw UnexpectedEndOfFile(path: "") }
    bytes.withUnsafeBytes {
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[Int(offset)...].prefix(buffer.count)))
    }
  }
}
