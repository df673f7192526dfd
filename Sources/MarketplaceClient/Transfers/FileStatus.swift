import Glibc

/// What stands at a path, links followed.
public struct FileStatus: Hashable, Sendable {
  public enum Kind: Hashable, Sendable {
    case file
    case folder
    /// A device, a pipe, a socket.
    case other
  }

  public let kind: Kind
  /// Anybody may execute it.
  public let isExecutable: Bool

  /// The `errno` when nothing can be seen there.
  public static func of(_ path: String) -> Result<FileStatus, SystemError> {
    var status = stat()
    guard stat(path, &status) == 0 else { return .failure(SystemError(code: errno)) }
    let kind: Kind
    switch status.st_mode & S_IFMT {
    case S_IFREG: kind = .file
    case S_IFDIR: kind = .folder
    default: kind = .other
    }
    return .success(FileStatus(kind: kind, isExecutable: status.st_mode & 0o111 != 0))
  }

  /// Whether a symbolic link stands there, wherever it leads.
  public static func isLink(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
  }
}

/// An `errno`.
public struct SystemError: Error, Hashable, Sendable {
  public let code: Int32
}
