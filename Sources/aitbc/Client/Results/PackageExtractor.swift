import Glibc
import MarketplaceClient
import ResultPackage

/// Unpacks a result package. Names were checked by the reader (no absolute paths, no `..`); here no symbolic link that
/// stands in the target folder is followed below it, and nothing outside the package's own folder is written.
enum PackageExtractor {
  /// Returns the package's root folder. A file that stands there is replaced.
  static func extract(_ archive: String, into folder: String) throws -> String {
    let package = try PackageReader(ZipReader(FileSource(path: archive)))
    let top = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard top >= 0 else { throw ClientError.file(path: folder, operation: "open", code: errno) }
    defer { close(top) }
    for entry in package.archive.entries where !entry.name.hasSuffix("/") {
      let parts = entry.name.split(separator: "/").map(String.init)
      guard let name = parts.last, !parts.contains("..") else { continue }
      let place = try enter(top, parts.dropLast(), folder)
      defer { close(place) }
      unlinkat(place, name, 0)
      let file = openat(place, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o666)
      guard file >= 0 else { throw ClientError.file(path: entry.name, operation: "open", code: errno) }
      defer { close(file) }
      try package.archive.read(entry, to: FileDescriptorSink(descriptor: file, path: entry.name))
    }
    return package.root
  }

  /// A descriptor of the folder below `top`, made when it is not there. No step goes through a symbolic link.
  private static func enter(_ top: Int32, _ parts: ArraySlice<String>, _ folder: String) throws -> Int32 {
    var current = fcntl(top, F_DUPFD_CLOEXEC, 0)
    guard current >= 0 else { throw ClientError.file(path: folder, operation: "dup", code: errno) }
    for part in parts {
      if mkdirat(current, part, 0o777) != 0, errno != EEXIST {
        let code = errno
        close(current)
        throw ClientError.file(path: folder + "/" + part, operation: "mkdir", code: code)
      }
      let next = openat(current, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
      let code = errno
      close(current)
      guard next >= 0 else { throw ClientError.file(path: folder + "/" + part, operation: "open", code: code) }
      current = next
    }
    return current
  }
}
