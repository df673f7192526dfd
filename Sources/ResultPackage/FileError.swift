import Glibc

/// A system call on a file failed.
public struct FileError: Error, Equatable, Sendable, CustomStringConvertible {
  public let path: String
  /// The call: `open`, `read`, `write`, …
  public let operation: String
  /// Its `errno`, for example `ENOSPC`.
  public let code: Int32

  public init(path: String, operation: String, code: Int32) {
    self.path = path
    self.operation = operation
    self.code = code
  }

  public var description: String {
    let reason = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      guard let storage = buffer.baseAddress, strerror_r(code, storage, buffer.count) == 0 else {
        return "error \(code)"
      }
      return String(cString: storage)
    }
    return "\(path): \(operation): \(reason)"
  }
}

/// The `shouldContinue` closure of a long operation answered no.
public struct OperationCanceled: Error, Equatable, Sendable {}

/// Asked at least once for every 512 KiB a long operation has worked through; when it answers no, the operation throws
/// `OperationCanceled`.
public typealias ShouldContinue = () -> Bool
