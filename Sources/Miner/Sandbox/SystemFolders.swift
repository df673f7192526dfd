import Glibc

/// How the system's own folders are shown inside the sandbox: read-only, with links kept as links and secrets covered.
public struct SystemFolders: Hashable, Sendable {
  /// bubblewrap arguments that bind them.
  public var arguments: [String]
  /// Which folders those are.
  public var bound: [String]
  /// Files of the system that only root may read. They matter when the miner runs as root, since files stay root's
  /// inside.
  public var secretFiles: [String]
  public var secretFolders: [String]

  public init(
    arguments: [String], bound: [String], secretFiles: [String] = [], secretFolders: [String] = []
  ) {
    self.arguments = arguments
    self.bound = bound
    self.secretFiles = secretFiles
    self.secretFolders = secretFolders
  }

  /// As this machine has them now.
  public static var present: SystemFolders {
    var folders = SystemFolders(arguments: [], bound: [])
    for path in ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt"] {
      if let target = FilePathFacts.linkTarget(path) {
        folders.arguments += ["--symlink", target, path]
      } else if FilePathFacts.isDirectory(path) {
        folders.arguments += ["--ro-bind", path, path]
        folders.bound.append(path)
      }
    }
    folders.secretFiles = ["/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers"]
      .filter { access($0, R_OK) == 0 }
    folders.secretFolders = ["/etc/ssh", "/etc/ssl/private", "/etc/sudoers.d", "/etc/aitbc", "/opt/aitbc/keys"]
      .filter { FilePathFacts.isDirectory($0) }
    return folders
  }
}

/// Questions about single paths.
enum FilePathFacts {
  static func isDirectory(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  static func isExecutable(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && access(path, X_OK) == 0
  }

  /// Where a symbolic link points, as it is written; nil for anything else.
  static func linkTarget(_ path: String) -> String? {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(path, &buffer, buffer.count)
    guard count > 0 else { return nil }
    return String(decoding: buffer[..<count].lazy.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
