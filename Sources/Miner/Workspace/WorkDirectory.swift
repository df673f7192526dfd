import CSupervisor
public import Clocks
public import Cryptography
import Glibc
import Marketplace
import ResultPackage

/// The miner's own folder (`--work-dir`): its identity, its lock and a folder for each try.
///
/// One miner at a time: the folder is locked (`flock(2)`) for as long as this object lives, so what lies in `jobs/`
/// at start is certain to be a dead miner's.
public final class WorkDirectory: Sendable {
  public let path: String
  /// Secret by which the coordinator knows this miner again; made at the first start. Never logged.
  public let instance: String
  /// Signs what this miner sends; made at the first start.
  public let signingKey: Ed25519PrivateKey
  private let lock: Descriptor

  public var jobs: String { path + "/jobs" }

  /// Names this folder's control groups: the same after a restart, and no other folder's.
  var groupName: String { String(SHA256.hash("aitbc-group\n\(path)".utf8).hex.prefix(16)) }

  /// Opens or makes the folder and clears what an earlier miner left. Throws ``WorkDirectoryInUse`` and ``FileError``.
  public static func open(_ path: String, clock: any MarketClock) async throws -> WorkDirectory {
    // A process that is being spawned shares the lock for the instant before its exec: a dead miner's last one, too.
    for _ in 0..<lockAttempts {
      do {
        return try WorkDirectory(path: path)
      } catch is WorkDirectoryInUse {
        try await clock.sleep(for: Seconds(milliseconds: 50))
      }
    }
    return try WorkDirectory(path: path)
  }

  /// A second in all.
  private static let lockAttempts = 20

  private init(path: String) throws {
    // Absolute and without links: jobs are shown the very path, and their supervisor works in another folder.
    let path = try Self.makePath(path)
    self.path = path
    lock = try Descriptor(opening: path + "/lock", O_RDWR | O_CREAT)
    guard flock(lock.raw, LOCK_EX | LOCK_NB) == 0 else {
      if errno == EWOULDBLOCK { throw WorkDirectoryInUse(path: path) }
      throw FileError(path: path, operation: "lock", code: errno)
    }
    try Self.makeFolder(path + "/jobs")
    instance = try Self.loadInstance(path + "/instance")
    signingKey = try Self.loadKey(path + "/signing.pem")
    try clear()
  }

  /// Makes the folder of one try. `name` is an id of ours, not a user's text.
  public func makeJobDirectory(_ name: String) throws -> JobDirectory {
    precondition(!name.contains("/") && !name.hasPrefix("."), "not a plain name")
    return try JobDirectory.create(at: jobs + "/" + name)
  }

  /// Ends what a killed miner's jobs left running and removes their folders. Only processes that carry a marker from
  /// these folders are touched.
  private func clear() throws {
    for name in try Self.names(in: jobs) {
      let folder = jobs + "/" + name
      if let marker = Self.readMarker(folder + JobDirectory.markerFile) {
        _ = aitbc_kill_marked(SupervisedCommand.markerName + "=" + marker, 200)
      }
      let code = aitbc_remove_tree(folder)
      guard code == 0 else { throw FileError(path: folder, operation: "remove", code: code) }
    }
  }

  private static func makeFolder(_ path: String) throws {
    guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
      throw FileError(path: path, operation: "make a folder at", code: errno)
    }
  }

  /// Makes a folder with those above it. Returns its real path.
  private static func makePath(_ path: String) throws -> String {
    var prefix = path.hasPrefix("/") ? "/" : ""
    for segment in path.split(separator: "/") {
      prefix += segment
      if segment != "." && segment != ".." { try makeFolder(prefix) }
      prefix += "/"
    }
    guard let real = realpath(path, nil) else { throw FileError(path: path, operation: "open", code: errno) }
    defer { free(real) }
    return String(cString: real)
  }

  private static func names(in path: String) throws -> [String] {
    guard let directory = opendir(path) else { throw FileError(path: path, operation: "list", code: errno) }
    defer { closedir(directory) }
    return DirectoryEntries.names(in: directory, limit: .max).compactMap { String(validating: $0, as: UTF8.self) }
  }

  /// A marker of the length and alphabet that we write; anything else is nobody's.
  private static func readMarker(_ path: String) -> String? {
    guard let text = readSmallFile(path), (16...64).contains(text.utf8.count),
      text.utf8.allSatisfy({ byte in
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == 45 || byte == 95
      })
    else { return nil }
    return text
  }

  private static func loadKey(_ path: String) throws -> Ed25519PrivateKey {
    if access(path, F_OK) == 0 { return try .load(from: path) }
    let key = try Ed25519PrivateKey.generate()
    try key.store(to: path)
    return key
  }

  private static func loadInstance(_ path: String) throws -> String {
    if let text = readSmallFile(path), (32...256).contains(text.utf8.count) { return text }
    let secret = secureToken(prefix: "mi_")
    let temporary = path + ".new"
    do {
      let file = try Descriptor(opening: temporary, O_WRONLY | O_CREAT | O_TRUNC)
      let bytes = Array(secret.utf8)
      guard write(file.raw, bytes, bytes.count) == bytes.count, fsync(file.raw) == 0 else {
        throw FileError(path: temporary, operation: "write", code: errno)
      }
    }
    guard rename(temporary, path) == 0 else { throw FileError(path: path, operation: "rename to", code: errno) }
    return secret
  }

  private static func readSmallFile(_ path: String) -> String? {
    guard let file = try? Descriptor(opening: path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK) else { return nil }
    var bytes = [UInt8](repeating: 0, count: 512)
    let count = read(file.raw, &bytes, bytes.count)
    guard count > 0 else { return nil }
    return String(validating: bytes[..<count], as: UTF8.self)
  }
}

/// Another miner works in the folder. Nothing was changed.
public struct WorkDirectoryInUse: Error, Hashable, Sendable, CustomStringConvertible {
  public let path: String

  public var description: String { "the work directory \(path) is in use by another miner" }
}
