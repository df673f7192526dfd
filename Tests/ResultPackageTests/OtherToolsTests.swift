import Cryptography
import Foundation
import ResultPackage
import Glibc
import Testing
import TestRandomness

/// What others say of our archives: Info-ZIP, 7-Zip, libarchive, Python.
@Suite(.serialized)
struct OtherToolsTests {
  /// Succeeds when all four accept all archives in the folder; fails with the first complaint.
  static let acceptAll = """
    set -e
    for f in *.zip; do
      unzip -tqq "$f" >out 2>&1 || { echo "unzip: $f"; cat out; exit 1; }
      7z t -bd "$f" >out 2>&1 || { echo "7z: $f"; cat out; exit 1; }
      if grep -qi warning out; then echo "7z warns: $f"; cat out; exit 1; fi
      bsdtar -tf "$f" >out 2>&1 || { echo "bsdtar: $f"; cat out; exit 1; }
      bsdtar -xOf "$f" >/dev/null 2>out || { echo "bsdtar -x: $f"; cat out; exit 1; }
    done
    """

  /// Prints name, size and SHA-256 of all files of all archives as Python sees them.
  static let list = """
    python3 - <<'END'
    import glob, hashlib, zipfile
    for path in sorted(glob.glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            for info in archive.infolist():
                digest = hashlib.sha256(archive.read(info)).hexdigest()
                print(path, info.filename, info.file_size, digest, info.date_time[0], oct(info.external_attr >> 16))
    END
    """

  /// How many random trees are packed: 100, or what `TREES` says (`make test-packages`).
  static let treeCount = ProcessInfo.processInfo.environment["TREES"].flatMap { Int($0) } ?? 100
  static let isLong = ProcessInfo.processInfo.environment["TREES"] != nil

  @Test func randomTrees() throws {
    let seed = ProcessInfo.processInfo.environment["SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64.max)
    var random = SeededGenerator(seed: seed)
    for start in stride(from: 0, to: Self.treeCount, by: 100) {
      let folder = try TemporaryFolder()
      var expected = ""
      for number in start..<min(start + 100, Self.treeCount) {
        expected += try Self.packTree(number: number, into: folder, &random, "seed \(seed)")
      }
      let accepted = try shell(Self.acceptAll, in: folder.path)
      #expect(accepted.status == 0, "seed \(seed): \(accepted.output)")
      let listed = try shell(Self.list, in: folder.path)
      #expect(listed.output == expected, "seed \(seed)")
    }
  }

  /// Packs a random tree, on one thread and on several; returns what Python must say of it.
  private static func packTree(
    number: Int, into folder: TemporaryFolder, _ random: inout SeededGenerator, _ seed: Comment
  ) throws -> String {
    var files = randomTree(&random).map { (name: "artifacts/" + $0.name, bytes: $0.bytes) }
    files += [("logs/stdout.log", random.text(Int(random.next() % 5000))), ("logs/stderr.log", [])]
    files += [("output.json", Array("{}\n".utf8)), ("result.txt", random.text(40))]
    let entries = try files.map { PackageEntry(path: try ArtifactPath($0.name), source: .bytes($0.bytes)) }
    let job = "job_\(number)"
    func build(threads: Int) throws -> (PackageSummary, [UInt8]) {
      let sink = BufferSink()
      let summary = try PackageBuilder(jobID: job, signer: testKey(1), threads: threads).build(entries, to: sink)
      return (summary, sink.bytes)
    }
    let (summary, bytes) = try build(threads: 1)
    #expect(try build(threads: Int(random.next() % 4) + 1).1 == bytes, seed)
    let report = try PackageVerifier(trustedKeys: [testKey(1).publicKey])
      .verify(BytesSource(bytes), expectedDigest: summary.sha256, expectedJobID: job)
    #expect(report.isIntact, seed)
    let name = "\(10_000 + number).zip"
    try folder.write(bytes, to: name)
    files.append((Manifest.fileName, summary.manifest.canonicalBytes))
    return files.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }.map {
      "\(name) \(job)/\($0.name) \($0.bytes.count) \(SHA256.hash($0.bytes)) 1980 0o100644\n"
    }.joined()
  }

  /// Some files with random paths, in order, without clashes.
  static func randomTree(_ random: inout SeededGenerator) -> [(name: String, bytes: [UInt8])] {
    let segments = ["a", "b-c", "data", "é", "e\u{301}tude", "結果", "x y", ".h", "模型-7", "log.txt", "n\u{A0}b", "$(x)"]
    var files: [String: [UInt8]] = [:]
    for _ in 0..<Int.random(in: 1...12, using: &random) {
      let depth = random.next() % 16 == 0 ? 31 : Int.random(in: 1...5, using: &random)
      let name = (0..<depth).map { _ in segments[Int(random.next() % 12)] }.joined(separator: "/")
      let length = [0, 1, 300, 70_000, 524_288, 524_289, 1_300_000][
        Int(random.next() % (random.next() % 16 == 0 ? 7 : 4))]
      files[name] = random.next() % 2 == 0 ? random.bytes(length) : random.text(length)
    }
    // Leave away what is a folder of another, or differs from another in its spelling only.
    let names = files.keys.filter { name in
      !files.keys.contains { $0.utf8.starts(with: (name + "/").utf8) }
    }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.map { ($0, files[$0] ?? []) }
  }

  /// With so many entries the end record's counts no longer fit.
  @Test(arguments: [65_534, 65_535, 65_536])
  func entryCountsAroundTheZip64Edge(count: Int) throws {
    let folder = try TemporaryFolder()
    let bytes = try archive((0..<count).map { (name: String($0 + 100_000), bytes: []) })
    #expect(try ZipReader(BytesSource(bytes)).entries.count == count)
    let usesZip64 = bytes.suffix(22 + 20).starts(with: [0x50, 0x4B, 0x06, 0x07])
    #expect(usesZip64 == (count >= 65_535))
    try folder.write(bytes, to: "edge.zip")
    let accepted = try shell(Self.acceptAll, in: folder.path)
    #expect(accepted.status == 0, "\(accepted.output.suffix(500))")
    let counted = try shell(
      "bsdtar -tf edge.zip | wc -l; python3 -c 'import zipfile;print(len(zipfile.ZipFile(\"edge.zip\").infolist()))'",
      in: folder.path)
    #expect(counted.output == "\(count)\n\(count)\n")
  }

  /// A stored entry of 4 GiB + 1 with small ones before and after it: sizes and an offset in Zip64 form. Five programs
  /// read it through, which takes a minute: part of `make test-packages`.
  @Test(.timeLimit(.minutes(5)), .enabled(if: isLong))
  func fourGibibytesAndOne() throws {
    let folder = try TemporaryFolder()
    let size: UInt64 = 4 << 30 | 1
    // Random at its start, so that it is stored; zeros after it, which the sink leaves as a hole.
    var random = SeededGenerator(seed: 6)
    let head = random.bytes(1 << 20)
    let sink = try SparseFileSink(folder.file("large.zip"))
    let writer = try ZipWriter(sink: sink)
    _ = try writer.add("job_x/a", [1])
    var position: UInt64 = 0
    let added = try writer.add(name: "job_x/b", size: size) { buffer in
      let count = Int(min(size - position, UInt64(buffer.count)))
      if position < UInt64(head.count) {
        buffer.copyBytes(from: head[Int(position)...].prefix(count))
      } else {
        // By the C library: a debug build would take minutes for it.
        if let address = buffer.baseAddress { memset(address, 0, buffer.count) }
      }
      position += UInt64(count)
      return count
    }
    _ = try writer.add("job_x/c", Array("after".utf8))
    let summary = try writer.finish()
    try sink.close()
    #expect(added.size == size)

    let source = try FileSource(path: folder.file("large.zip"))
    #expect(source.size == summary.size)
    let reader = try ZipReader(source)
    #expect(reader.entries.map(\.size) == [1, size, 5])
    #expect(reader.entries[1].method == .stored && reader.entries[1].compressedSize == size)
    #expect(try reader.bytes(of: reader.entries[2]) == Array("after".utf8))
    let tail = BufferSink()
    try reader.read(reader.entries[1], range: size - 3..<size + 10, to: tail)
    #expect(tail.bytes == [0, 0, 0])

    let script = """
      set -e
      unzip -tqq large.zip
      7z t -bd large.zip > out
      bsdtar -tvf large.zip
      python3 - <<'END'
      import zipfile
      with zipfile.ZipFile("large.zip") as archive:
          print([i.file_size for i in archive.infolist()], archive.read("job_x/c"))
      END
      """
    let result = try shell(script, in: folder.path)
    #expect(result.status == 0, "\(result.output)")
    #expect(result.output.contains("[1, 4294967297, 5] b'after'"), "\(result.output)")
  }
}

/// Writes a file and leaves pieces of zeros as holes.
final class SparseFileSink: ByteSink {
  private let handle: FileHandle
  private let zeros = Data(count: 1 << 20)

  init(_ path: String) throws {
    try Data().write(to: URL(filePath: path))
    handle = try #require(FileHandle(forWritingAtPath: path))
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws {
    guard let start = bytes.baseAddress else { return }
    let isZero = zeros.withUnsafeBytes { zero in
      bytes.count <= zero.count && zero.baseAddress.map { memcmp($0, start, bytes.count) } == 0
    }
    if isZero {
      try handle.seek(toOffset: try handle.offset() + UInt64(bytes.count))
    } else {
      try handle.write(contentsOf: Data(bytes))
    }
  }

  func close() throws {
    try handle.truncate(atOffset: try handle.offset())
    try handle.close()
  }
}
