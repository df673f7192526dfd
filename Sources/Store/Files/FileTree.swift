import Glibc

/// Walks over folders that only this program writes.
enum FileTree {
  /// Deeper folders are not ours: below the data directory we make four at most.
  private static let maximumDepth = 8

  /// Names in a folder, unsorted; empty when it is not there.
  static func names(in path: String) throws(FileStoreError) -> [String] {
    guard let folder = opendir(path) else {
      if errno == ENOENT { return [] }
      throw .last("opendir", path)
    }
    defer { closedir(folder) }
    var names: [String] = []
    while let name = nextName(folder) { names.append(name) }
    return names
  }

  /// The next name in an open folder; nil at its end.
  static func nextName(_ folder: OpaquePointer) -> String? {
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { return name }
    }
    return nil
  }

  /// Removes a file or a folder with all in it. What is not there is fine. Links are removed, never followed.
  static func remove(_ path: String, depth: Int = 0) throws(FileStoreError) {
    guard depth <= maximumDepth else { throw .failed("\(path): folders too deep") }
    var status = stat()
    guard lstat(path, &status) == 0 else {
      if errno == ENOENT || errno == ENOTDIR { return }
      throw .last("lstat", path)
    }
    guard status.st_mode & S_IFMT == S_IFDIR else { return try POSIXFile.remove(path) }
    for name in try names(in: path) { try remove(path + "/" + name, depth: depth + 1) }
    guard rmdir(path) == 0 || errno == ENOENT else { throw .last("rmdir", path) }
    FileTrace.note(.remove(path))
  }

  static func removeContents(of path: String) throws(FileStoreError) {
    for name in try names(in: path) { try remove(path + "/" + name) }
  }

  /// Bytes in all files below a path; 0 when it is not there.
  static func size(of path: String, depth: Int = 0) throws(FileStoreError) -> Int64 {
    guard depth <= maximumDepth else { throw .failed("\(path): folders too deep") }
    var status = stat()
    guard lstat(path, &status) == 0 else {
      if errno == ENOENT { return 0 }
      throw .last("lstat", path)
    }
    guard status.st_mode & S_IFMT == S_IFDIR else { return Int64(status.st_size) }
    var sum: Int64 = 0
    for name in try names(in: path) { sum += try size(of: path + "/" + name, depth: depth + 1) }
    return sum
  }
}
