import COpenSSL

/// What can go wrong in this module. Every case says which operation or field is meant; none carries secret bytes.
public enum CryptographyError: Error, Equatable, Sendable, CustomStringConvertible {
  /// libcrypto refused an operation that should always work (a broken or restricted installation, out of memory).
  case library(operation: String, message: String)
  /// Bytes or text are not a key of the kind asked for.
  case invalidKey(reason: String)
  /// A file could not be read or written; `code` is the `errno` of `operation`.
  case file(path: String, operation: String, code: Int32)
  /// A private key's file may be read by others: its permission bits, of which only the owner's may be set.
  case insecurePermissions(path: String, mode: UInt32)

  public var description: String {
    switch self {
    case .library(let operation, let message): "libcrypto: \(operation) failed: \(message)"
    case .invalidKey(let reason): "invalid key: \(reason)"
    case .file(let path, let operation, let code): "\(path): \(operation): \(systemMessage(code))"
    case .insecurePermissions(let path, let mode):
      "\(path): others may read this private key (mode \(String(mode, radix: 8))); run chmod 600 on it"
    }
  }

  /// Takes libcrypto's oldest queued error of this thread, and empties the queue.
  static func fromLibrary(_ operation: String) -> CryptographyError {
    let code = ERR_get_error()
    ERR_clear_error()
    guard code != 0 else { return .library(operation: operation, message: "no reason given") }
    let text = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      ERR_error_string_n(code, buffer.baseAddress, buffer.count)
      return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
    return .library(operation: operation, message: text)
  }
}
