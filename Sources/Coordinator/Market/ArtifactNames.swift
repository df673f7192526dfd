import Marketplace
import ResultPackage
import Store
import Synchronization

/// Keeps the artifacts of each try from clashing with each other, without reading all of them for each new one: a try
/// may leave a hundred thousand.
///
/// A try's names are read when its first artifact comes to this process, and kept while its lease lives.
final class ArtifactNames: Sendable {
  private let tries = Mutex<[String: NameIndex]>([:])

  enum Verdict: Hashable, Sendable {
    case fine
    /// So many are here already.
    case tooMany
    /// It can't stand beside this one.
    case clash(with: String)
  }

  /// Whether a new artifact may come; `store` knows no artifact of its name.
  ///
  /// - Parameter isLive: whether a try's lease lives, by its hash; the names of others are forgotten.
  func check(
    _ path: ArtifactPath, of lease: LeaseTable.Lease, limit: Int, in store: any MarketStore,
    isLive: @Sendable (String) -> Bool
  ) async throws -> Verdict {
    if tries.withLock({ $0[lease.hash] == nil }) {
      let index = try await Self.index(of: lease, in: store)
      tries.withLock { tries in
        for hash in tries.keys where !isLive(hash) { tries[hash] = nil }
        if tries[lease.hash] == nil { tries[lease.hash] = index }
      }
    }
    let (count, mayClash) = tries.withLock { tries in
      (tries[lease.hash]?.count ?? 0, tries[lease.hash]?.mayClash(path) ?? false)
    }
    guard count < limit else { return .tooMany }
    guard mayClash else { return .fine }
    let other = try await Self.clash(of: path, lease, in: store)
    return other.map { .clash(with: $0) } ?? .fine
  }

  /// Takes the name for an artifact that has arrived. False when one that arrived meanwhile clashes with it.
  func take(_ path: ArtifactPath, of lease: LeaseTable.Lease) -> Bool {
    tries.withLock { tries in
      guard tries[lease.hash]?.mayClash(path) != true else { return false }
      tries[lease.hash]?.insert(path)
      return true
    }
  }

  /// Gives back a name that was taken: its artifact could not be stored.
  func giveBack(_ path: ArtifactPath, of lease: LeaseTable.Lease) { tries.withLock { $0[lease.hash]?.remove(path) } }

  private static func index(of lease: LeaseTable.Lease, in store: any MarketStore) async throws -> NameIndex {
    try await store.read { store in
      var index = NameIndex()
      try store.forEachArtifact(of: lease.job, tryNumber: lease.tryNumber) { artifact in
        if let path = try? ArtifactPath(validating: artifact.path) { index.insert(path) }
      }
      return index
    }
  }

  /// The first stored name that can't stand beside this one.
  private static func clash(
    of path: ArtifactPath, _ lease: LeaseTable.Lease, in store: any MarketStore
  ) async throws -> String? {
    try await store.read { store in
      var found: String?
      try store.forEachArtifact(of: lease.job, tryNumber: lease.tryNumber) { artifact in
        guard found == nil, let other = try? ArtifactPath(validating: artifact.path), other != path else { return }
        if path.clashes(with: other) { found = other.string }
      }
      return found
    }
  }
}

extension ArtifactPath {
  /// Whether both can't be files of one folder tree that is unpacked anywhere: equal but for case, or one a folder of
  /// the other.
  func clashes(with other: ArtifactPath) -> Bool {
    let (left, right) = (caseFolded, other.caseFolded)
    return left == right || left.hasPrefix(right + "/") || right.hasPrefix(left + "/")
  }
}
