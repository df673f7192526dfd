import Glibc
import ResultPackage

/// Finds the files that a job leaves: regular files only, no link is ever followed, names only as results may have
/// them.
///
/// The job's processes are all gone by then, so what is found stays as it is.
struct ArtifactWalk {
  struct Found: Hashable, Sendable {
    /// Name in the result.
    var path: String
    /// Where it lies.
    var file: String
    var size: Int64
  }

  /// More files than a result may have, or one that is too large.
  struct TooMuch: Error, Hashable, CustomStringConvertible {
    let description: String
  }

  let maximumFiles: Int
  let maximumBytes: Int64
  private(set) var found: [Found] = []
  /// What was left out and why.
  private(set) var leftOut = LeftOut()
  private var names = ArtifactNames()
  /// Directory entries looked at; bounded, so that a tree of a million empty folders ends.
  private var visited = 0

  static let maximumVisited = 200_000

  init(maximumFiles: Int, maximumBytes: Int64) {
    self.maximumFiles = maximumFiles
    self.maximumBytes = maximumBytes
  }

  /// Adds all files below a folder, by their paths relative to it.
  mutating func add(folder: String) throws {
    let root = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard root >= 0 else { return }
    try walk(root, folder, prefix: "", depth: 0)
  }

  /// Adds one file or folder that the job named, relative to `base`. One that is not there is left out.
  mutating func add(named name: String, below base: String) throws {
    var directory = open(base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard directory >= 0 else { return }
    let segments = name.split(separator: "/").filter { $0 != "." }.map(String.init)
    guard !segments.isEmpty, !segments.contains("..") else {
      close(directory)
      if segments.isEmpty { return try add(folder: base) }
      return skip(name, "it leads out of the working directory")
    }
    // Segment by segment, so that no link on the way is followed.
    for segment in segments.dropLast() {
      let next = openat(directory, segment, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
      close(directory)
      directory = next
      guard directory >= 0 else { return skip(name, "it is not there") }
    }
    defer { close(directory) }
    let prefix = segments.dropLast().map { $0 + "/" }.joined()
    try visit(
      segments[segments.count - 1], in: directory, base + "/" + prefix, prefix: prefix, depth: segments.count - 1)
  }

  /// Takes the descriptor over.
  private mutating func walk(_ descriptor: Int32, _ folder: String, prefix: String, depth: Int) throws {
    guard let directory = fdopendir(descriptor) else {
      close(descriptor)
      return
    }
    defer { closedir(directory) }
    let names = DirectoryEntries.names(in: directory, limit: Self.maximumVisited - visited + 1)
    visited += names.count
    guard visited <= Self.maximumVisited else { throw TooMuch(description: "more than \(Self.maximumVisited) files") }
    // The order of the disk is nobody's: results have one order.
    for bytes in names.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      if let name = String(validating: bytes, as: UTF8.self) {
        try visit(name, in: dirfd(directory), folder + "/", prefix: prefix, depth: depth)
      } else {
        leftOut.note(Array(prefix.utf8) + bytes, "its name is not UTF-8")
      }
    }
  }

  private mutating func visit(
    _ name: String, in directory: Int32, _ folder: String, prefix: String, depth: Int
  ) throws {
    var status = stat()
    guard fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
      return skip(prefix + name, "it is not there")
    }
    switch status.st_mode & S_IFMT {
    case S_IFDIR:
      guard depth < ArtifactPath.maximumSegments else { return skip(prefix + name, "it lies too deep") }
      // The miner is the owner; a folder that the job closed can be opened by it.
      fchmodat(directory, name, status.st_mode | 0o700, 0)
      let inner = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
      guard inner >= 0 else { return skip(prefix + name, "it can't be opened") }
      try walk(inner, folder + name, prefix: prefix + name + "/", depth: depth + 1)
    case S_IFREG: try take(prefix + name, folder + name, status)
    case S_IFLNK: skip(prefix + name, "it is a symbolic link")
    case S_IFIFO: skip(prefix + name, "it is a pipe")
    case S_IFSOCK: skip(prefix + name, "it is a socket")
    default: skip(prefix + name, "it is a device")
    }
  }

  private mutating func take(_ path: String, _ file: String, _ status: stat) throws {
    let valid: ArtifactPath
    do {
      valid = try ArtifactPath(validating: path)
    } catch {
      return skip(path, "\(error)")
    }
    guard Int64(status.st_size) <= maximumBytes else {
      throw TooMuch(description: "\(path) has \(status.st_size) bytes, the limit is \(maximumBytes)")
    }
    // What stands in the output folder goes before what the job named elsewhere.
    guard names.insert(valid) else { return skip(path, "another artifact stands in the way of that name") }
    guard found.count < maximumFiles else { throw TooMuch(description: "more than \(maximumFiles) files") }
    if status.st_mode & 0o400 == 0 { chmod(file, status.st_mode | 0o400) }
    found.append(Found(path: path, file: file, size: Int64(status.st_size)))
  }

  private mutating func skip(_ path: String, _ reason: String) { leftOut.note(Array(path.utf8), reason) }
}
