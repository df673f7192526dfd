/// Something that is counted up and down.
protocol CountedSum {
  static func += (sum: inout Self, more: Self)
  static func -= (sum: inout Self, more: Self)
}

extension Int: CountedSum {}
extension AccountTotals: CountedSum {}

/// Sums that rows hold, in memory between statements: read once, changed here, written with the group.
struct CachedSums<Key: Hashable, Sum: CountedSum> {
  private var sums: [Key: Sum] = [:]
  /// Those that the database does not have yet.
  private var dirty: Set<Key> = []

  /// `load` reads what is not known. It must not come back here.
  mutating func value(of key: Key, load: () throws -> Sum) rethrows -> Sum {
    if let sum = sums[key] { return sum }
    let sum = try load()
    sums[key] = sum
    return sum
  }

  mutating func add(_ more: Sum, to key: Key, load: () throws -> Sum) rethrows {
    var sum = try value(of: key, load: load)
    sum += more
    sums[key] = sum
    dirty.insert(key)
  }

  mutating func takeBack(_ more: Sum, from key: Key) {
    sums[key]? -= more
    dirty.insert(key)
  }

  /// What was flushed was rolled back.
  mutating func markAllDirty() { dirty = Set(sums.keys) }

  mutating func removeAll() { self = CachedSums() }

  /// Forgets what is known when that is more than so much; only after a flush.
  mutating func trim(to limit: Int) {
    if sums.count > limit { sums = [:] }
  }

  mutating func flush(_ write: (Key, Sum) throws -> Void) rethrows {
    for key in dirty {
      if let sum = sums[key] { try write(key, sum) }
    }
    dirty.removeAll(keepingCapacity: true)
  }
}
