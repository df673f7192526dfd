import Glibc

/// Which shared libraries this program was loaded with from outside the system's folders: a development build has its
/// Swift runtime in the toolchain's, which may be in somebody's home.
enum LoadedLibraries {
  /// Paths in the order of the memory map, each once.
  static func foreign(map: String = "/proc/self/maps") -> [String] {
    guard let text = read(map) else { return [] }
    return foreign(inMap: text)
  }

  /// As ``foreign(map:)``, of the text of a memory map.
  static func foreign(inMap text: String) -> [String] {
    var paths: [String] = []
    for line in text.split(separator: "\n") {
      // Five fields, then the path, which may hold spaces.
      let fields = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
      guard fields.count == 6 else { continue }
      let path = String(fields[5].drop { $0 == " " })
      guard path.hasPrefix("/"), path.hasSuffix(".so") || path.contains(".so."), !path.hasSuffix(" (deleted)"),
        !["/usr/", "/lib", "/opt/"].contains(where: path.hasPrefix), !paths.contains(path)
      else { continue }
      paths.append(path)
    }
    return paths
  }

  private static func read(_ path: String) -> String? {
    guard let file = fopen(path, "re") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while bytes.count < 16 << 20 {
      let count = fread(&chunk, 1, chunk.count, file)
      if count == 0 { break }
      bytes += chunk[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
