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
    for (role, key) in keys {
      try DurableFile.write(Array((key + "\n").utf8), to: "\(keysDirectory)/\(role.rawValue).key")
    }
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
}
