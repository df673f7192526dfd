import ResultPackage
import Testing
import TestRandomness

/// Names that come one by one are told apart from all before them.
@Suite struct NameIndexTests {
  @Test(arguments: [
    ("a", "A"), ("é", "e\u{301}"), ("a/b", "a"), ("a", "a/b"), ("A/b", "a"), ("a", "A/b/c"), ("x/É/y", "X/é/Y"),
  ])
  func aClashIsSeen(first: String, second: String) throws {
    var index = NameIndex([try ArtifactPath("other/file"), try ArtifactPath(first)])
    #expect(index.mayClash(try ArtifactPath(second)))
    index.remove(try ArtifactPath(first))
    #expect(!index.mayClash(try ArtifactPath(second)))
    #expect(index.count == 1)
  }

  @Test(arguments: [("a", "b"), ("a/b", "a/c"), ("a/b", "ab"), ("a-b", "a/b"), ("a/b/c", "a/d/c"), ("a", "a-")])
  func neighboursAreFine(first: String, second: String) throws {
    let index = NameIndex([try ArtifactPath(first)])
    #expect(!index.mayClash(try ArtifactPath(second)))
  }

  /// A folder stays one as long as a file lies in it.
  @Test func foldersAreCounted() throws {
    var index = NameIndex(try ["a/b/c", "a/b/d"].map { try ArtifactPath($0) })
    for (removed, isFolder) in [("a/b/c", true), ("a/b/d", false)] {
      index.remove(try ArtifactPath(removed))
      for folder in ["a", "a/b"] { #expect(index.mayClash(try ArtifactPath(folder)) == isFolder) }
    }
    // What is not there can't be taken back.
    index.insert(try ArtifactPath("a/x"))
    index.remove(try ArtifactPath("a/y"))
    #expect(index.mayClash(try ArtifactPath("a")) && index.count == 1)
  }

  /// The same verdicts as the package builder's, whatever the order.
  @Test func itAgreesWithTheBuilder() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SeededGenerator(seed: seed)
    let parts = ["a", "A", "b", "é", "e\u{301}", "ab"]
    for _ in 0..<300 {
      var index = NameIndex()
      var taken: [PackageEntry] = []
      for _ in 0..<4 {
        let depth = Int(random.next() % 3) + 1
        let path = try ArtifactPath((0..<depth).map { _ in parts[Int(random.next() % 6)] }.joined(separator: "/"))
        let entry = PackageEntry(path: path, source: .bytes([]))
        let isRefused = (try? PackageBuilderTests.build(taken + [entry])) == nil
        #expect(index.mayClash(path) == isRefused, "seed \(seed): \(taken.map(\.path)) and \(path)")
        guard !isRefused else { continue }
        index.insert(path)
        taken.append(entry)
      }
    }
  }
}
