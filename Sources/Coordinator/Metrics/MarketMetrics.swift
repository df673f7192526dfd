import Instruments
import Marketplace
import Store

/// What the coordinator counts while it works, for `/metrics`. Nothing that it holds names a key, a token, a job or an
/// account.
final class MarketMetrics: Sendable {
  let store = StoreMetrics()
  let leases = LeaseMetrics()
  /// Durable events handed to the feeds.
  let events = Counter()
  /// Jobs taken in, reruns included.
  let submitted = Counter()
  /// Tries placed on a miner.
  let claims = Counter()
  /// Tries that ended, or were given back, with their job waiting again.
  let returned = Counter()
  private let ended: [JobState: Counter]

  init() {
    ended = Dictionary(uniqueKeysWithValues: JobState.allCases.filter(\.isTerminal).map { ($0, Counter()) })
  }

  /// Counts what was just made durable. On the store's thread.
  func take(_ published: [JobEvent]) {
    events.add(published.count)
    for event in published {
      switch event.state {
      case .pending: (event.tryNumber == 0 ? submitted : returned).add()
      case .assigned: claims.add()
      default: ended[event.state]?.add()
      }
    }
  }

  /// How many jobs ended in each final state, in the order of the states.
  var ends: [(state: JobState, count: Int64)] {
    JobState.allCases.compactMap { state in ended[state].map { (state, $0.value) } }
  }
}

/// What became of leases.
final class LeaseMetrics: Sendable {
  let renewed = Counter()
  /// Ran out: the miner was silent, or did not start or stop the job in time.
  let expired = Counter()
}
