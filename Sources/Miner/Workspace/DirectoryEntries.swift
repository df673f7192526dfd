import Glibc

/// Names in an open directory.
enum DirectoryEntries {
  /// All names but `.` and `..`, as bytes: a job may use names that are not UTF-8. `limit` bounds how many are read.
  static func names(in directory: OpaquePointer, limit: Int) -> [[UInt8]] {
    var names: [[UInt8]] = []
    while names.count < limit, let entry = readdir(directory) {
      // The entry is as long as its name: reading the declared 256 bytes would run past the end of the buffer.
      guard let offset = MemoryLayout<dirent>.offset(of: \.d_name) else { break }
      let text = (UnsafeRawPointer(entry) + offset).assumingMemoryBound(to: UInt8.self)
      let name = Array(UnsafeBufferPointer(start: text, count: strlen(text)))
      if name != [46] && name != [46, 46] { names.append(name) }
    }
    return names
  }
}
