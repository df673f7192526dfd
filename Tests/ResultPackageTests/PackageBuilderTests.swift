import Cryptography
import Foundation
import ResultPackage
import Testing
import TestRandomness

struct PackageBuilderTests {
  static func entry(_ path: String, _ text: String, known: SHA256Digest? = nil) throws -> PackageEntry {
    PackageEntry(path: try ArtifactPath(path), source: .bytes(Array(text.utf8)), knownDigest: known)
  }

  static func sample() throws -> [PackageEntry] {
    try [
      entry("output.json", #"{"job_id":"job_01"}"#), entry("result.txt", "42\n"), entry("logs/stdout.log", "42\n"),
      entry("logs/stderr.log", ""), entry("artifacts/model.bin", "weights"), entry("artifacts/plots/é.svg", "<svg/>"),
    ]
  }

  static func build(_ entries: [PackageEntry], minerSignature: ManifestSignature? = nil, threads: Int = 1) throws -> (
    bytes: [UInt8], summary: PackageSummary
  ) {
    let sink = BufferSink()
    let builder = try PackageBuilder(
      jobID: "job_01", signer: testKey(1), minerSignature: minerSignature, threads: threads)
    let summary = try builder.build(entries, to: sink)
    return (sink.bytes, summary)
  }

  @Test func layoutIsTheContracts() throws {
    let (bytes, summary) = try Self.build(try Self.sample())
    let reader = try ZipReader(BytesSource(bytes))
    #expect(
      reader.entries.map(\.name) == [
        "job_01/artifacts/model.bin", "job_01/artifacts/plots/é.svg", "job_01/logs/stderr.log",
        "job_01/logs/stdout.log",
        "job_01/manifest.json", "job_01/output.json", "job_01/result.txt",
      ])
    #expect(summary.sha256 == SHA256.hash(bytes))
    #expect(summary.size == UInt64(bytes.count))
    let package = try PackageReader(reader)
    #expect(package.manifest == summary.manifest)
    #expect(package.root == "job_01")
    let path = try ArtifactPath("artifacts/model.bin")
    #expect(try reader.bytes(of: #require(package.entry(for: path))) == Array("weights".utf8))
    #expect(package.manifest.entry(for: path)?.sha256 == SHA256.hash("weights".utf8))
    #expect(package.manifest.entries.count == 6)
  }

  @Test func sameInputSameBytes() throws {
    let first = try Self.build(try Self.sample()).bytes
    #expect(try Self.build(try Self.sample().reversed()).bytes == first)
    #expect(try Self.build(try Self.sample(), threads: 4).bytes == first)
    let known = try Self.sample().map { entry in
      guard case .bytes(let bytes) = entry.source else { return entry }
      return PackageEntry(path: entry.path, source: entry.source, knownDigest: SHA256.hash(bytes))
    }
    #expect(try Self.build(known).bytes == first)
  }

  @Test func filesAndBytesGiveTheSamePackage() throws {
    let folder = try TemporaryFolder()
    var random = SeededGenerator(seed: 7)
    let log = random.text(1_500_000)
    let result = random.bytes(700_000)
    try folder.write(Array("head".utf8) + log + Array("later lines".utf8), to: "log")
    try folder.write(result, to: "result")
    let fromFiles = try Self.build([
      PackageEntry(
        path: try ArtifactPath("logs/stdout.log"),
        source: .file(path: folder.file("log"), offset: 4, length: UInt64(log.count))),
      PackageEntry(
        path: try ArtifactPath("result.txt"), source: .file(path: folder.file("result"), offset: 0, length: 700_000)),
    ])
    let fromBytes = try Self.build([
      PackageEntry(path: try ArtifactPath("logs/stdout.log"), source: .bytes(log)),
      PackageEntry(path: try ArtifactPath("result.txt"), source: .bytes(result)),
    ])
    #expect(fromFiles.bytes == fromBytes.bytes)
  }

  /// A file that has its digest as its name, and bytes that are made in pieces, before and after the manifest.
  @Test func otherSourcesGiveTheSamePackage() throws {
    let folder = try TemporaryFolder()
    var random = SeededGenerator(seed: 8)
    let bytes = random.text(700_000)
    let digest = SHA256.hash(bytes)
    try folder.write(bytes, to: digest.hex)
    let pieces = PackageEntry.Source.pieces(length: 700_000) {
      var rest = bytes[...]
      return {
        guard !rest.isEmpty else { return nil }
        defer { rest = rest.dropFirst(99_999) }
        return Array(rest.prefix(99_999))
      }
    }
    let named = PackageEntry.Source.named(digest: digest, folder: folder.path, length: 700_000)
    func build(_ first: PackageEntry.Source, _ second: PackageEntry.Source) throws -> [UInt8] {
      try Self.build([
        PackageEntry(path: try ArtifactPath("artifacts/a"), source: first),
        PackageEntry(path: try ArtifactPath("output.json"), source: second),
      ]).bytes
    }
    let expected = try build(.bytes(bytes), .bytes(bytes))
    #expect(try build(named, pieces) == expected)
    #expect(try build(pieces, named) == expected)
    #expect(throws: ZipWriteError.sizeDiffers(name: "job_01/artifacts/a", announced: 8)) {
      try build(.pieces(length: 8) { { nil } }, .bytes([]))
    }
    try folder.write(Array("other".utf8), to: digest.hex)
    #expect(throws: PackageBuildError.sourceTooShort(path: "artifacts/a")) { try build(named, .bytes([])) }
    try folder.write(bytes.reversed(), to: digest.hex)
    #expect(throws: PackageBuildError.self) { try build(named, .bytes([])) }
  }

  @Test func emptyPackageHasAManifest() throws {
    let (bytes, summary) = try Self.build([])
    #expect(try ZipReader(BytesSource(bytes)).entries.map(\.name) == ["job_01/manifest.json"])
    #expect(summary.manifest.entries.isEmpty)
  }

  @Test(arguments: ["artifacts/a", "result.txt"])
  func wrongKnownDigestIsFound(path: String) throws {
    let wrong = SHA256.hash("other".utf8)
    let entries = [try Self.entry(path, "bytes", known: wrong)]
    let expected = PackageBuildError.digestDiffers(path: path, known: wrong, actual: SHA256.hash("bytes".utf8))
    #expect(throws: expected) { try Self.build(entries) }
  }

  @Test func badEntriesAreRefused() throws {
    #expect(throws: PackageBuildError.reservedPath("manifest.json")) {
      try Self.build([Self.entry("manifest.json", "")])
    }
    #expect(throws: PackageBuildError.reservedPath("Manifest.JSON")) {
      try Self.build([Self.entry("Manifest.JSON", "")])
    }
    #expect(throws: PackageBuildError.nameClash(.fileAndFolder(file: "manifest.json", inside: "manifest.json/a"))) {
      try Self.build([Self.entry("manifest.json/a", "")])
    }
    #expect(throws: PackageBuildError.nameClash(.duplicate("a"))) {
      try Self.build([Self.entry("a", ""), Self.entry("a", "")])
    }
    #expect(throws: PackageBuildError.nameClash(.caseFolded("A", "a"))) {
      try Self.build([Self.entry("a", ""), Self.entry("A", "")])
    }
    #expect(throws: ManifestError.badJobID("../x")) { try PackageBuilder(jobID: "../x", signer: testKey(1)) }
  }

  @Test func badFilesAreRefused() throws {
    let folder = try TemporaryFolder()
    try folder.write([1, 2, 3], to: "three")
    func build(_ name: String, offset: UInt64 = 0, length: UInt64) throws {
      let source = PackageEntry.Source.file(path: folder.file(name), offset: offset, length: length)
      _ = try Self.build([PackageEntry(path: try ArtifactPath("artifacts/x"), source: source)])
    }
    try build("three", length: 3)
    try build("three", offset: 3, length: 0)
    for (offset, length) in [(0, 4), (1, 3), (4, 0), (UInt64.max, 1)] as [(UInt64, UInt64)] {
      #expect(throws: PackageBuildError.sourceTooShort(path: "artifacts/x")) {
        try build("three", offset: offset, length: length)
      }
    }
    #expect(throws: FileError(path: folder.file("none"), operation: "open", code: ENOENT)) {
      try build("none", length: 0)
    }
    #expect(symlink("three", folder.file("link")) == 0)
    #expect(throws: FileError(path: folder.file("link"), operation: "open", code: ELOOP)) {
      try build("link", length: 3)
    }
    #expect(mkfifo(folder.file("pipe"), 0o600) == 0)
    #expect(throws: FileError(path: folder.file("pipe"), operation: "open", code: EINVAL)) {
      try build("pipe", length: 0)
    }
  }

  @Test func minersSignatureIsCheckedAndKept() throws {
    let entries = try Self.sample()
    let described = try Self.build(entries).summary.manifest.entries
    let good = try ManifestSignature.miner(jobID: "job_01", entries: described, key: testKey(2))
    let summary = try Self.build(entries, minerSignature: good).summary
    #expect(summary.manifest.signatures.map(\.signer) == [.coordinator, .miner])
    let fewer = try ManifestSignature.miner(jobID: "job_01", entries: Array(described.dropFirst()), key: testKey(2))
    #expect(throws: PackageBuildError.badMinerSignature) { try Self.build(entries, minerSignature: fewer) }
    let otherJob = try ManifestSignature.miner(jobID: "job_02", entries: described, key: testKey(2))
    #expect(throws: PackageBuildError.badMinerSignature) { try Self.build(entries, minerSignature: otherJob) }
  }

  @Test func fileAppearsCompleteOrNotAtAll() throws {
    let folder = try TemporaryFolder()
    try folder.write(Array("left by a crash".utf8), to: "p.tmp")
    let builder = try PackageBuilder(jobID: "job_01", signer: testKey(1))
    let summary = try builder.build(Self.sample(), toFile: folder.file("p.zip"), temporary: folder.file("p.tmp"))
    #expect(SHA256.hash(try folder.read("p.zip")) == summary.sha256)
    #expect(try folder.names == ["p.zip"])
    var asked = 0
    #expect(throws: OperationCanceled.self) {
      try builder.build(Self.sample(), toFile: folder.file("q.zip"), temporary: folder.file("q.tmp")) {
        asked += 1
        return asked < 4
      }
    }
    #expect(try folder.names == ["p.zip"])
    #expect(throws: FileError(path: folder.file("no/p"), operation: "rename", code: ENOENT)) {
      try builder.build(Self.sample(), toFile: folder.file("no/p"), temporary: folder.file("p.tmp"))
    }
    #expect(try folder.names == ["p.zip"])
  }
}
