/// Two names that cannot both be unpacked.
public enum NameClash: Error, Equatable, Sendable, CustomStringConvertible {
  /// The same name twice.
  case duplicate(String)
  /// Names that differ in case or Unicode normalization only.
  case caseFolded(String, String)
  /// A file whose name is also a folder of another.
  case fileAndFolder(file: String, inside: String)

  public var description: String {
    switch self {
    case .duplicate(let name): "\(name) stands there twice"
    case .caseFolded(let first, let second): "\(first) and \(second) are one name where case does not count"
    case .fileAndFolder(let file, let inside): "\(file) is a file and also a folder of \(inside)"
    }
  }

  /// The first clash among `names`, in their order.
  ///
  /// Names are told apart by hashes first, which costs eight bytes each: different hashes are different names. Only
  /// when two are equal are the names themselves compared.
  static func first(in names: some Collection<String>) -> NameClash? {
    mayClash(names) ? firstExact(in: names) : nil
  }

  private static func mayClash(_ names: some Collection<String>) -> Bool {
    var hashes: [Int] = []
    hashes.reserveCapacity(names.count)
    var folders: Set<Int> = []
    for name in names {
      let key = ArtifactPath.folded(name)
      hashes.append(key.hashValue)
      var parent = key[...]
      while let slash = parent.utf8.lastIndex(of: UInt8(ascii: "/")) {
        parent = parent[..<slash]
        // The parents of a known folder are known too.
        if !folders.insert(String(parent).hashValue).inserted { break }
      }
    }
    hashes.sort()
    return zip(hashes, hashes.dropFirst()).contains { $0 == $1 } || hashes.contains { folders.contains($0) }
  }

  private static func firstExact(in names: some Collection<String>) -> NameClash? {
    var files: [String: String] = [:]
    // A folded folder with one name inside it.
    var folders: [String: String] = [:]
    for name in names {
      let key = ArtifactPath.folded(name)
      if let other = files.updateValue(name, forKey: key) {
        return other.utf8.elementsEqual(name.utf8) ? .duplicate(name) : .caseFolded(other, name)
      }
      if let inside = folders[key] { return .fileAndFolder(file: name, inside: inside) }
      var parent = key[...]
      while let slash = parent.utf8.lastIndex(of: UInt8(ascii: "/")) {
        parent = parent[..<slash]
        let folder = String(parent)
        if let file = files[folder] { return .fileAndFolder(file: file, inside: name) }
        // The parents of a known folder are known too.
        if folders.updateValue(name, forKey: folder) != nil { break }
      }
    }
    return nil
  }
}
