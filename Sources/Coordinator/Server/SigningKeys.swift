public import Cryptography
import Glibc
import JSON
import Logging
public import Marketplace
import ResultPackage
import Synchronization

/// The coordinator's Ed25519 keys: `signing.pem` signs; `retired-keys.json` lists the public halves of those before it,
/// which stay known so that what they signed can be verified.
///
/// Both files are looked at again when `signing.pem` changes, so that a rotation needs no restart.
public final class SigningKeys: Sendable {
  /// A key that signs no more.
  public struct Retired: Hashable, Sendable {
    public let keyID: String
    /// It has signed nothing after this moment.
    public let validUntil: Timestamp
  }

  private struct State {
    var active: Ed25519PrivateKey
    var retired: [Retired]
    var stamp: FileStamp?
  }

  /// Nil: keys of a test, in memory alone.
  private let directory: String?
  private let state: Mutex<State>

  static let activeName = "signing.pem"
  static let retiredName = "retired-keys.json"
  /// The largest list read, in bytes.
  private static let retiredLimit = 1 << 20

  /// Loads the keys of a folder; makes the first one. Throws `CryptographyError` and ``StartError``.
  public init(directory: String) throws {
    self.directory = directory
    let path = directory + "/" + Self.activeName
    if access(path, F_OK) != 0 { try Ed25519PrivateKey.generate().store(to: path) }
    let stamp = FileStamp(path)
    state = Mutex(
      State(active: try .load(from: path), retired: try Self.readRetired(directory), stamp: stamp))
  }

  /// A key in memory, for tests.
  public init(_ key: Ed25519PrivateKey) {
    directory = nil
    state = Mutex(State(active: key, retired: []))
  }

  /// The key that signs now. While its file can't be read, the one known before goes on.
  public var active: Ed25519PrivateKey {
    refresh()
    return state.withLock { $0.active }
  }

  /// The public halves of all keys, retired ones too.
  var all: [Ed25519PublicKey] {
    refresh()
    return state.withLock { state in
      [state.active.publicKey] + state.retired.compactMap { try? Ed25519PublicKey(id: $0.keyID) }
    }
  }

  /// `/v1/keys`: who verifies a package offline saves this.
  var published: JSONValue {
    refresh()
    let (active, retired) = state.withLock { ($0.active.publicKey.id, $0.retired) }
    let first = Self.document(active, isActive: true, validUntil: nil)
    let others = retired.filter { $0.keyID != active }.map {
      Self.document($0.keyID, isActive: false, validUntil: $0.validUntil)
    }
    return ["keys": .array([first] + others)]
  }

  private static func document(_ id: String, isActive: Bool, validUntil: Timestamp?) -> JSONValue {
    var object = JSONObject([
      ("key_id", .string(id)), ("alg", "Ed25519"), ("public_key", .string(id)), ("use", "coordinator"),
      ("active", .bool(isActive)),
    ])
    if let validUntil {
      object.append("valid_until", .string(validUntil.description))
      object.append("valid_until_unix", .integer(validUntil.milliseconds / 1000))
    }
    return .object(object)
  }

  private func refresh() {
    guard let directory else { return }
    let path = directory + "/" + Self.activeName
    let stamp = FileStamp(path)
    guard stamp != nil, state.withLock({ $0.stamp }) != stamp else { return }
    guard let key = try? Ed25519PrivateKey.load(from: path), let retired = try? Self.readRetired(directory) else {
      return
    }
    state.withLock { $0 = State(active: key, retired: retired, stamp: stamp) }
  }
}

// MARK: - Rotation

extension SigningKeys {
  /// Makes a new key that signs from now on, and lists the old one as retired.
  ///
  /// The list is durable before the key changes: cut off in between, the old key goes on and is listed once.
  ///
  /// - Returns: the ids of the new and the old key.
  public static func rotate(directory: String, now: Timestamp) throws -> (new: String, old: String) {
    let path = directory + "/" + activeName
    let old = try Ed25519PrivateKey.load(from: path).publicKey.id
    let key = try Ed25519PrivateKey.generate()
    let kept = try readRetired(directory).filter { $0.keyID != old }
    try writeRetired([Retired(keyID: old, validUntil: now)] + kept, directory)
    try key.store(to: path, replacing: true)
    return (key.publicKey.id, old)
  }

  private static func readRetired(_ directory: String) throws -> [Retired] {
    let path = directory + "/" + retiredName
    guard access(path, F_OK) == 0 else { return [] }
    let source = try FileSource(path: path)
    guard source.size <= UInt64(retiredLimit) else { throw StartError("\(path) is too large") }
    let document = try JSONParser.parse(try source.bytes(at: 0, count: Int(source.size)))
    return try (document["keys"]?.array ?? []).map { entry in
      guard let id = entry["key_id"]?.string, (try? Ed25519PublicKey(id: id)) != nil,
        let until = entry["valid_until"]?.string.flatMap({ Timestamp(rfc3339: $0) })
      else { throw StartError("\(path): each key needs key_id and valid_until") }
      return Retired(keyID: id, validUntil: until)
    }
  }

  private static func writeRetired(_ keys: [Retired], _ directory: String) throws {
    let list: JSONValue = [
      "keys": .array(
        keys.map { ["key_id": .string($0.keyID), "valid_until": .string($0.validUntil.description)] })
    ]
    try DurableFile.write(Array((list.pretty + "\n").utf8), to: directory + "/" + retiredName)
  }
}

/// Tells whether a file was replaced.
private struct FileStamp: Hashable {
  let inode: UInt
  let seconds: Int
  let nanoseconds: Int

  init?(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    inode = UInt(status.st_ino)
    seconds = status.st_mtim.tv_sec
    nanoseconds = status.st_mtim.tv_nsec
  }
}
