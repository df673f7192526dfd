import Glibc

/// Where bytes are written to, in order. Used by one thread at a time.
public protocol ByteSink: AnyObject {
  /// Takes all the bytes or throws; `bytes` is valid only during the call.
  func write(_ bytes: UnsafeRawBufferPointer) throws
}

/// Hands every piece to a closure.
public final class ClosureSink: ByteSink {
  private let body: (UnsafeRawBufferPointer) throws -> Void

  public init(_ body: @escaping (UnsafeRawBufferPointer) throws -> Void) { self.body = body }

  public func write(_ bytes: UnsafeRawBufferPointer) throws { try body(bytes) }
}

/// Collects bytes in memory, up to a limit.
public final class BufferSink: ByteSink {
  /// What was written so far.
  public private(set) var bytes: [UInt8] = []
  private let limit: Int

  /// - Parameter limit: the largest number of bytes taken; a write beyond it throws `LimitExceeded`.
  public init(limit: Int = .max) { self.limit = limit }

  public func write(_ bytes: UnsafeRawBufferPointer) throws {
    guard bytes.count <= limit - self.bytes.count else { throw LimitExceeded(limit: UInt64(limit)) }
    self.bytes.append(contentsOf: bytes)
  }
}

/// More bytes came than the receiver takes.
public struct LimitExceeded: Error, Equatable, Sendable {
  /// The limit in bytes.
  public let limit: UInt64

  public init(limit: UInt64) { self.limit = limit }
}

/// Writes to a file descriptor, which it does not own; short writes and `EINTR` are continued.
public final class FileDescriptorSink: ByteSink {
  private let descriptor: Int32
  private let path: String

  /// - Parameter path: the name to tell in errors.
  public init(descriptor: Int32, path: String = "") {
    self.descriptor = descriptor
    self.path = path
  }

  public func write(_ bytes: UnsafeRawBufferPointer) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw FileError(path: path, operation: "write", code: errno) }
      rest = rest.dropFirst(count)
    }
  }
}
