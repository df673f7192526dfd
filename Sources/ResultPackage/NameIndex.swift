/// Names that came so far, so that each new one is told apart from all of them in constant time.
///
/// Holds hashes of the names and their folders, not the names: what it takes for a clash must be looked at by name.
/// Different hashes are different names.
public struct NameIndex: Sendable {
  private var files: Set<Int> = []
  /// How many files lie in each folder, at any depth.
  private var folders: [Int: Int32] = [:]

  public init() {}

  public init(_ paths: some Sequence<ArtifactPath>) { for path in paths { insert(path) } }

  public var count: Int { files.count }

  /// Whether the name may be one that is here, but for case and normalization, or a folder of one, or lie in one.
  public func mayClash(_ path: ArtifactPath) -> Bool {
    let key = path.caseFolded
    let hash = key.hashValue
    return files.contains(hash) || folders[hash] != nil || Self.folders(of: key).contains { files.contains($0) }
  }

  public mutating func insert(_ path: ArtifactPath) {
    let key = path.caseFolded
    files.insert(key.hashValue)
    for folder in Self.folders(of: key) { folders[folder, default: 0] += 1 }
  }

  /// Takes back what was inserted.
  public mutating func remove(_ path: ArtifactPath) {
    let key = path.caseFolded
    guard files.remove(key.hashValue) != nil else { return }
    for folder in Self.folders(of: key) {
      folders[folder, default: 0] -= 1
      if folders[folder] == 0 { folders[folder] = nil }
    }
  }

  /// Hashes of the folders that a name lies in, the innermost first.
  private static func folders(of key: String) -> some Sequence<Int> {
    sequence(state: key[...]) { (rest: inout Substring) -> Int? in
      guard let slash = rest.utf8.lastIndex(of: UInt8(ascii: "/")) else { return nil }
      rest = rest[..<slash]
      return String(rest).hashValue
    }
  }
}
