import Glibc
import Store

/// Small files of the operator's folder.
enum DurableFile {
  /// Puts a file (mode 0600) in its place: whole or not at all, also after a power cut. Throws ``StartError``.
  static func write(_ bytes: [UInt8], to path: String) throws {
    let temporary = path + ".new"
    unlink(temporary)
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw failure(path) }
    defer { close(descriptor) }
    guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count, fsync(descriptor) == 0 else {
      throw failure(path)
    }
    CrashPoint.keyFile.reach(.before)
    guard rename(temporary, path) == 0 else { throw failure(path) }
    CrashPoint.keyFile.reach(.after)
    let slash = path.lastIndex(of: "/")
    let folder = open(slash.map { String(path[..<$0]) } ?? ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folder >= 0 else { throw failure(path) }
    defer { close(folder) }
    guard fsync(folder) == 0 else { throw failure(path) }
  }

  private static func failure(_ path: String) -> StartError {
    StartError("can't write \(path): \(String(cString: strerror(errno)))")
  }
}
