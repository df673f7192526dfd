import Clocks
import Cryptography
import FoundationEssentials
import Glibc
import Logging
import Marketplace
import Store

/// What a coordinator makes on an empty data directory: the account `default` with a key for each role, and the
/// signing key.
struct FirstRun {
  let store: any MarketStore
  let keysDirectory: String
  let clock: any MarketClock
  let log: Logger

  static let accountName = "default"

  /// Makes what is missing. Existing accounts and keys stay as they are.
  func prepare() async throws {
    guard mkdir(keysDirectory, 0o700) == 0 || errno == EEXIST else {
      throw StartError("can't make the keys directory \(keysDirectory): \(String(cString: strerror(errno)))")
    }
    guard try await store.read({ try $0.accounts() }).isEmpty else { return }
    let keys = Role.allCases.map { role in (role, secureToken(prefix: "ak_")) }
    // The files come first: a key whose hash is stored but that nobody has would lock its owner out.
    for (role, key) in keys { try write(key + "\n", to: "\(keysDirectory)/\(role.rawValue).key") }
    let now = clock.now
    var random = SecureRandom()
    let account = Account(id: AccountID(at: now, using: &random), name: Self.accountName, plan: .free, createdAt: now)
    try await store.write { market in
      try market.save(account)
      for (role, key) in keys {
        try market.insert(
          APIKeyRecord(hash: SHA256.hash(key.utf8).hex, account: account.id, role: role, createdAt: now))
      }
    }
    log.notice("made the account default and its keys", metadata: ["directory": "\(keysDirectory)"])
  }

  /// The coordinator's Ed25519 key; made at the first start.
  func signingKey() throws -> Ed25519PrivateKey {
    let path = keysDirectory + "/signing.pem"
    if access(path, F_OK) == 0 { return try Ed25519PrivateKey.load(from: path) }
    let key = try Ed25519PrivateKey.generate()
    try key.store(to: path)
    log.notice("made the signing key", metadata: ["file": "\(path)"])
    return key
  }

  private func write(_ text: String, to path: String) throws {
    let temporary = path + ".new"
    unlink(temporary)
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw StartError("can't write \(path): \(String(cString: strerror(errno)))")
    }
    defer { Glibc.close(descriptor) }
    let bytes = Array(text.utf8)
    guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count, fsync(descriptor) == 0 else {
      throw StartError("can't write \(path): \(String(cString: strerror(errno)))")
    }
    CrashPoint.keyFile.reach(.before)
    guard rename(temporary, path) == 0 else {
      throw StartError("can't write \(path): \(String(cString: strerror(errno)))")
    }
    CrashPoint.keyFile.reach(.after)
  }
}

/// Why a coordinator did not start; the text is for its operator.
public struct StartError: Error, Sendable, CustomStringConvertible {
  public let description: String
  init(_ description: String) { self.description = description }
}
