import DequeModule

/// The latest message of each key (progress of a job, the market's figures), in the order in which they changed. A
/// reader is a version number; one that lags gets only what is still the latest.
struct LatestRun<Frame: Sendable>: Sendable {
  private struct Entry: Sendable {
    let version: UInt64
    let key: String
    let size: Int
    let frame: Frame
  }

  private var entries: Deque<Entry> = []
  private var latest: [String: UInt64] = [:]
  /// The newest message's version; 0 before the first.
  private(set) var version: UInt64 = 0

  /// Messages held, replaced ones included: at most twice the keys and 16.
  var count: Int { entries.count }

  mutating func put(_ key: String, size: Int, frame: Frame) {
    version += 1
    latest[key] = version
    entries.append(Entry(version: version, key: key, size: size, frame: frame))
    compact()
  }

  /// A durable event says more than what is here for the key.
  mutating func drop(_ key: String) {
    if latest.removeValue(forKey: key) != nil { compact() }
  }

  /// What is the latest and newer than `version`, up to `limit` bytes and at least one; and the version reached.
  func batch(after version: UInt64, limit: Int) -> (frames: [Frame], version: UInt64, isWhole: Bool) {
    guard version < self.version else { return ([], version, true) }
    var frames: [Frame] = []
    var reached = version
    var room = limit
    for entry in entries[index(after: version)...] where latest[entry.key] == entry.version {
      room -= entry.size
      if room < 0, !frames.isEmpty { return (frames, reached, false) }
      frames.append(entry.frame)
      reached = entry.version
    }
    return (frames, self.version, true)
  }

  private func index(after version: UInt64) -> Int {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].version > version { high = middle } else { low = middle + 1 }
    }
    return low
  }

  private mutating func compact() {
    guard entries.count > latest.count * 2 + 16 else { return }
    entries.removeAll { latest[$0.key] != $0.version }
  }
}
