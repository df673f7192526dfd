import Glibc

/// Names in an open directory.
enum DirectoryEntries {
  /// All names but `.` and `..`; nil stands for one that is not UTF-8. `limit` bounds how many are read.
  static func names(in directory: OpaquePointer, limit: Int) -> [String?] {
    var names: [String?] = []
    while names.count < limit, let entry = readdir(directory) {
      // The entry is as long as its name: reading the declared 256 bytes would run past the end of the buffer.
      guard let offset = MemoryLayout<dirent>.offset(of: \.d_name) else { break }
      let text = (UnsafeRawPointer(entry) + offset).assumingMemoryBound(to: CChar.self)
      let name = String(validatingCString: text)
      if name != "." && name != ".." { names.append(name) }
    }
    return names
  }
}
