import Glibc

/// Why a file of the store could not be written or read.
public enum FileStoreError: Error, Hashable, Sendable, CustomStringConvertible {
  /// No room, or the quota is used up. 507.
  case diskFull
  case notFound
  /// What arrived is not what was announced; the partial file is gone.
  case mismatch(expectedSize: Int64, expectedSHA256: String, foundSize: Int64, foundSHA256: String)
  /// Bytes for a place before or behind what is there.
  case wrongOffset(expected: Int64)
  /// The upload is being written by somebody else.
  case busy
  /// The system says something else; the text is for the log.
  case failed(String)

  init(code: Int32, _ call: String, _ path: String) {
    switch code {
    case ENOSPC, EDQUOT: self = .diskFull
    case ENOENT: self = .notFound
    default: self = .failed("\(call) \(path): \(String(cString: strerror(code)))")
    }
  }

  /// From `errno`, right after the call.
  static func last(_ call: String, _ path: String) -> Self { Self(code: errno, call, path) }

  public var description: String {
    switch self {
    case .diskFull: "the disk is full"
    case .notFound: "there is no such file"
    case .mismatch(let size, let sha256, let foundSize, let foundSHA256):
      "expected \(size) bytes with SHA-256 \(sha256), got \(foundSize) bytes with \(foundSHA256)"
    case .wrongOffset(let expected): "the next byte is number \(expected)"
    case .busy: "the file is being written by somebody else"
    case .failed(let text): text
    }
  }
}
