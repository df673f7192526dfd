import Foundation
import ResultPackage
import Testing

@testable import Miner

@Suite("Artifacts on disk")
struct ArtifactWalkTests {
  private let folder: TemporaryFolder
  private var root: String { folder.path + "/out" }

  init() throws {
    folder = try TemporaryFolder()
    try make("out/a.txt", "a")
  }

  private func make(_ path: String, _ text: String = "x") throws {
    let url = URL(filePath: folder.path + "/" + path)
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(text.utf8).write(to: url)
  }

  private func walk(files: Int = 100, bytes: Int64 = 1_000_000) throws -> ArtifactWalk {
    var walk = ArtifactWalk(maximumFiles: files, maximumBytes: bytes)
    try walk.add(folder: root)
    return walk
  }

  @Test func `files are found in the order of their names, with paths and sizes`() throws {
    try make("out/sub/deep/c.bin", "ccc")
    try make("out/B.txt", "bb")
    try make("out/.hidden", "")
    let found = try walk().found
    #expect(found.map(\.path) == [".hidden", "B.txt", "a.txt", "sub/deep/c.bin"])
    #expect(found.map(\.size) == [0, 2, 1, 3])
    #expect(found.map(\.file).allSatisfy { FileManager.default.fileExists(atPath: $0) })
  }

  @Test func `links and special files are never followed or taken`() throws {
    try make("secret/key", "k")
    symlink(folder.path + "/secret/key", root + "/link")
    symlink(folder.path + "/secret", root + "/folder")
    symlink("a.txt", root + "/inner")
    mkfifo(root + "/fifo", 0o600)
    let result = try walk()
    #expect(result.found.map(\.path) == ["a.txt"])
    #expect(
      result.leftOut.lines == [
        "aitbc: artifact left out: fifo: it is a pipe\n", "aitbc: artifact left out: folder: it is a symbolic link\n",
        "aitbc: artifact left out: inner: it is a symbolic link\n",
        "aitbc: artifact left out: link: it is a symbolic link\n",
      ])
  }

  @Test func `names that results can't have are left out`() throws {
    try make("out/back\\slash")
    try make("out/new\nline")
    try make("out/C:drive")
    let bytes: [CChar] = Array(root.utf8CString.dropLast()) + [47, -1, -2, 0]
    close(open(bytes, O_CREAT | O_WRONLY, 0o600))
    let result = try walk()
    #expect(result.found.map(\.path) == ["a.txt"])
    #expect(
      result.leftOut.lines == [
        "aitbc: artifact left out: C:drive: the path begins with a drive letter\n",
        "aitbc: artifact left out: back\\x5cslash: the path contains a backslash\n",
        "aitbc: artifact left out: new\\x0aline: control character 10 at byte 3\n",
        "aitbc: artifact left out: \\xff\\xfe: its name is not UTF-8\n",
      ])
  }

  @Test func `names that can't be unpacked side by side everywhere are told`() throws {
    try make("out/A.TXT")
    try make("out/d/x")
    try make("out/D")
    let result = try walk()
    #expect(result.found.map(\.path) == ["A.TXT", "D"])
    #expect(result.leftOut.count == 2)
  }

  @Test func `a hundred names are told, the others counted`() {
    var leftOut = LeftOut()
    #expect(leftOut.isEmpty && leftOut.lines.isEmpty)
    for index in 0..<LeftOut.maximumNamed { leftOut.note(Array("f\(index)".utf8), "why") }
    #expect(leftOut.lines.count == LeftOut.maximumNamed)
    leftOut.note(Array("one more".utf8), "why")
    #expect(leftOut.lines.count == LeftOut.maximumNamed + 1)
    #expect(leftOut.lines.last == "aitbc: 1 more artifacts left out\n")
  }

  @Test func `no name can fake a line or turn the writing around`() {
    var leftOut = LeftOut()
    leftOut.note(Array("a\r\u{1B}[2J\u{202E}\u{2028}é".utf8), "why")
    #expect(
      leftOut.lines == ["aitbc: artifact left out: a\\x0d\\x1b[2J\\xe2\\x80\\xae\\xe2\\x80\\xa8é: why\n"])
  }

  @Test func `depth is bounded as in results`() throws {
    let depth = ArtifactPath.maximumSegments
    try make("out/" + String(repeating: "d/", count: depth - 1) + "at-limit")
    try make("out/" + String(repeating: "d/", count: depth) + "past")
    #expect(try walk().found.map { $0.path.suffix(8) } == ["a.txt", "at-limit"])
  }

  @Test func `number and size are bounded`() throws {
    try make("out/b.txt", "12345")
    #expect(try walk(files: 2, bytes: 5).found.count == 2)
    #expect(throws: ArtifactWalk.TooMuch.self) { try walk(files: 1) }
    #expect(throws: ArtifactWalk.TooMuch.self) { try walk(bytes: 4) }
  }

  @Test func `folders and files that the job closed are opened`() throws {
    try make("out/closed/inner.txt", "i")
    chmod(root + "/closed/inner.txt", 0)
    chmod(root + "/closed", 0)
    #expect(try walk().found.map(\.path) == ["a.txt", "closed/inner.txt"])
  }

  @Test func `what the job named is taken from its working directory, and from nowhere else`() throws {
    try make("work/model.bin", "m")
    try make("work/logs/1.txt", "1")
    try make("work/logs/2.txt", "2")
    try make("secret/key", "k")
    symlink(folder.path + "/secret", folder.path + "/work/link")
    try make("work/a.txt", "another")
    var walk = try walk()
    let work = folder.path + "/work"
    for name in [
      "model.bin", "logs", "missing", "../secret/key", "/secret", "link/key", "link", "./logs/1.txt", "a.txt",
    ] {
      try walk.add(named: name, below: work)
    }
    // The output folder's own a.txt goes first; each path stands once.
    #expect(walk.found.map(\.path) == ["a.txt", "model.bin", "logs/1.txt", "logs/2.txt"])
    #expect(walk.found.first?.file == root + "/a.txt")
  }

  @Test func `a folder that is not there has no files`() throws {
    var walk = ArtifactWalk(maximumFiles: 1, maximumBytes: 1)
    try walk.add(folder: folder.path + "/nowhere")
    try walk.add(named: "x", below: folder.path + "/nowhere")
    #expect(walk.found.isEmpty)
  }
}
