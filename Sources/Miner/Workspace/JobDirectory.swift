import CSupervisor
import Cryptography
import Glibc
import ResultPackage

/// One try's folder on the miner's disk:
///
///     work/         the job's working directory, with its inputs
///     output/       AITBC_OUTPUT_DIR: what is left here are its artifacts
///     tmp/          its private /tmp
///     progress      AITBC_PROGRESS: a FIFO
///     stdout.log, stderr.log   what it wrote and the coordinator may still lack
///     marker        the random value in the payload's environment
public struct JobDirectory: Hashable, Sendable {
  public let path: String
  /// Random value that the payload's environment carries; see ``SupervisedCommand``.
  public let marker: String

  public var work: String { path + "/work" }
  public var output: String { path + "/output" }
  public var temporary: String { path + "/tmp" }
  public var progress: String { path + "/progress" }
  public var stdoutLog: String { path + "/stdout.log" }
  public var stderrLog: String { path + "/stderr.log" }

  static let markerFile = "/marker"

  /// Makes the folder with all it holds; nothing is left behind when that fails. Throws ``FileError``.
  public static func create(at path: String) throws -> JobDirectory {
    let directory = JobDirectory(path: path, marker: secureToken(prefix: "", bytes: 16))
    try make(path)
    do {
      // The marker first: from here on leftovers can be told from other people's processes.
      try write(directory.marker, to: path + markerFile)
      for folder in [directory.work, directory.output, directory.temporary] { try make(folder) }
      guard mkfifo(directory.progress, 0o600) == 0 else {
        throw FileError(path: directory.progress, operation: "make a FIFO at", code: errno)
      }
    } catch {
      try? directory.remove()
      throw error
    }
    return directory
  }

  /// Removes it with everything in it, whatever the job left there. May be called twice. Throws ``FileError``.
  public func remove() throws {
    let code = aitbc_remove_tree(path)
    guard code == 0 else { throw FileError(path: path, operation: "remove", code: code) }
  }

  private static func make(_ path: String) throws {
    guard mkdir(path, 0o700) == 0 else { throw FileError(path: path, operation: "make a folder at", code: errno) }
  }

  private static func write(_ text: String, to path: String) throws {
    let file = try Descriptor(opening: path, O_WRONLY | O_CREAT | O_EXCL)
    let bytes = Array(text.utf8)
    guard Glibc.write(file.raw, bytes, bytes.count) == bytes.count else {
      throw FileError(path: path, operation: "write", code: errno)
    }
  }
}
