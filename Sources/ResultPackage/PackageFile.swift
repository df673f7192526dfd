import Glibc

extension PackageBuilder {
  /// Builds the package as a file: complete and on the disk under its name, or not there at all, also after a power
  /// cut. A file that was there is replaced.
  ///
  /// - Parameter temporary: the name it has while it is written, in a folder of the same file system; removed after an
  ///   error, replaced when a crash left one.
  public func build(
    _ entries: [PackageEntry], toFile path: String, temporary: String,
    shouldContinue: @escaping ShouldContinue = { true }
  ) throws -> PackageSummary {
    unlink(temporary)
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw FileError(path: temporary, operation: "open", code: errno) }
    do {
      defer { close(descriptor) }
      let sink = FileDescriptorSink(descriptor: descriptor, path: temporary)
      let summary = try build(entries, to: sink, shouldContinue: shouldContinue)
      guard fsync(descriptor) == 0 else { throw FileError(path: temporary, operation: "fsync", code: errno) }
      guard rename(temporary, path) == 0 else { throw FileError(path: path, operation: "rename", code: errno) }
      try synchronizeFolder(of: path)
      return summary
    } catch {
      unlink(temporary)
      throw error
    }
  }
}

/// Makes a new name in the file's folder survive a power cut.
private func synchronizeFolder(of path: String) throws {
  let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
  let folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
  let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
  guard descriptor >= 0 else { throw FileError(path: folder, operation: "open", code: errno) }
  defer { close(descriptor) }
  guard fsync(descriptor) == 0 else { throw FileError(path: folder, operation: "fsync", code: errno) }
}
