import ResultPackage

/// The names that artifacts of one result have so far. Two that could not be unpacked side by side everywhere don't
/// both get in: equal but for case, or one a folder of the other.
struct ArtifactNames: Hashable, Sendable {
  private var files: Set<String> = []
  private var folders: Set<String> = []

  /// False when another name stands in its way.
  mutating func insert(_ path: ArtifactPath) -> Bool {
    let folded = path.caseFolded
    var parents: [String] = []
    var parent = ""
    for segment in folded.split(separator: "/").dropLast() {
      parent += (parent.isEmpty ? "" : "/") + segment
      parents.append(parent)
    }
    guard !files.contains(folded), !folders.contains(folded), files.isDisjoint(with: parents) else { return false }
    files.insert(folded)
    folders.formUnion(parents)
    return true
  }
}
