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
  /// It may not go on: its key was revoked, or an administrator removed the miner.
  func dismiss(_ reason: MinerDismissal)
}

extension MinerLink {
  var demand: Int { .max }
}

/// Why a miner must leave.
enum MinerDismissal: Sendable {
  case keyRevoked
  case removed
}
