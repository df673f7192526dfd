import Wire

/// How the dispatcher speaks to one connected miner. Never blocks.
protocol MinerLink: AnyObject, Sendable {
  func send(_ command: MinerCommand)
  /// Another connection of the same miner took its place.
  func replace()
  /// The hash of the key that opened it.
  var keyHash: String { get }
  /// How many assignments it takes now, besides what its slots allow.
  var demand: Int { get }
  /// A claim of at most `count` jobs for it begins; it ends with ``endClaim()``, when what was claimed has been sent. One
  /// at a time. Returns how many it takes.
  func beginClaim(of count: Int) -> Int
  func endClaim()
  /// It may not go on: its key was revoked, or an administrator removed the miner.
  func dismiss(_ reason: MinerDismissal)
}

extension MinerLink {
  var demand: Int { .max }
  func beginClaim(of count: Int) -> Int { count }
  func endClaim() {}
}

/// Why a miner must leave.
enum MinerDismissal: Sendable {
  case keyRevoked
  case removed
}
