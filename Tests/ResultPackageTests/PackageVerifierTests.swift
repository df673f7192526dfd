import Cryptography
import ResultPackage
import Testing

struct PackageVerifierTests {
  static func package(padding: Int = 0) throws -> (bytes: [UInt8], summary: PackageSummary) {
    var entries = try PackageBuilderTests.sample()
    if padding > 0 {
      let zeros = PackageEntry.Source.bytes([UInt8](repeating: 0, count: padding))
      entries.append(PackageEntry(path: try ArtifactPath("artifacts/zeros"), source: zeros))
    }
    let described = try PackageBuilderTests.build(entries).summary.manifest.entries
    let miner = try ManifestSignature.miner(jobID: "job_01", entries: described, key: testKey(2))
    return try PackageBuilderTests.build(entries, minerSignature: miner)
  }

  static func verify(
    _ bytes: [UInt8], keys: [UInt8] = [1], digest: SHA256Digest? = nil, job: String? = nil
  ) throws -> VerificationReport {
    try PackageVerifier(trustedKeys: keys.map { try testKey($0).publicKey })
      .verify(BytesSource(bytes), expectedDigest: digest, expectedJobID: job)
  }

  /// A package as a forger may write it: any files, any manifest, sealed by key 1 if wanted.
  static func forged(_ files: [(String, String)], _ manifest: Manifest, sealed: Bool = true) throws -> [UInt8] {
    let sink = BufferSink()
    let writer = try ZipWriter(sink: sink)
    let all = files.map { ("job_01/" + $0.0, Array($0.1.utf8)) } + [("job_01/manifest.json", manifest.canonicalBytes)]
    for (name, bytes) in all.sorted(by: { $0.0.utf8.lexicographicallyPrecedes($1.0.utf8) }) {
      _ = try writer.add(name, bytes)
    }
    guard sealed else {
      _ = try writer.finish()
      return sink.bytes
    }
    let key = try testKey(1)
    _ = try writer.finish(commentLength: 144) { digest in
      let signature = try key.sign("aitbc-archive-v1\n\(digest.hex)".utf8)
      return Array("aitbc-seal-v1 \(key.publicKey.id) \(Base64URL.encode(signature))".utf8)
    }
    return sink.bytes
  }

  static func manifest(_ files: [(String, String)], jobID: String = "job_01", key: UInt8? = 1) throws -> Manifest {
    let entries = try files.map {
      ManifestEntry(path: try ArtifactPath($0.0), size: UInt64($0.1.utf8.count), sha256: SHA256.hash($0.1.utf8))
    }
    var manifest = try Manifest(jobID: jobID, entries: entries)
    if let key { manifest.signatures = [try .coordinator(manifest, key: testKey(key))] }
    return manifest
  }

  @Test func intactPackage() throws {
    let (bytes, summary) = try Self.package()
    let report = try Self.verify(bytes, digest: summary.sha256, job: "job_01")
    #expect(report.isIntact, "\(report.findings)")
    #expect(report.sha256 == summary.sha256 && report.size == summary.size && report.manifest == summary.manifest)
    #expect(report.miner?.keyID == (try testKey(2).publicKey.id) && report.miner?.isListed == false)
    #expect(try Self.verify(bytes, keys: [3, 2, 1]).miner?.isListed == true)
  }

  static let files = [("a", "one"), ("b", "two"), ("c", "three")]

  @Test func eachMismatchHasItsName() throws {
    let manifest = try Self.manifest(Self.files)
    func findings(_ files: [(String, String)]) throws -> [VerificationFinding] {
      try Self.verify(try Self.forged(files, manifest)).findings
    }
    #expect(try findings(Self.files) == [])
    #expect(try findings([("a", "one"), ("c", "three")]) == [.missing(path: "b")])
    #expect(try findings(Self.files + [("d", "four")]) == [.added(path: "d")])
    #expect(try findings([("a", "one"), ("b2", "two"), ("c", "three")]) == [.renamed(from: "b", to: "b2")])
    #expect(
      try findings([("a", "two"), ("b", "one"), ("c", "three")]) == [
        .digest(path: "a", expected: SHA256.hash("one".utf8), actual: SHA256.hash("two".utf8)),
        .digest(path: "b", expected: SHA256.hash("two".utf8), actual: SHA256.hash("one".utf8)),
      ])
    #expect(
      try findings([("a", "one"), ("b", "twos"), ("c", "three")]) == [
        .size(path: "b", expected: 3, actual: 4),
        .digest(path: "b", expected: SHA256.hash("two".utf8), actual: SHA256.hash("twos".utf8)),
      ])
    #expect(try findings([]) == [.missing(path: "a"), .missing(path: "b"), .missing(path: "c")])
    #expect(
      try findings([("a", "one"), ("x", "new"), ("y", "two")]) == [
        .renamed(from: "b", to: "y"), .missing(path: "c"), .added(path: "x"),
      ])
  }

  @Test func signaturesAreNamed() throws {
    let unsigned = try Self.forged(Self.files, try Self.manifest(Self.files, key: nil))
    #expect(try Self.verify(unsigned).findings == [.unsigned])
    let foreign = try Self.forged(Self.files, try Self.manifest(Self.files, key: 9))
    let foreignID = try testKey(9).publicKey.id
    #expect(try Self.verify(foreign).findings == [.unknownKey(signer: .coordinator, keyID: foreignID)])
    var forged = try Self.manifest(Self.files)
    forged.signatures = try Self.manifest([("other", "")]).signatures
    let keyID = try testKey(1).publicKey.id
    #expect(
      try Self.verify(try Self.forged(Self.files, forged)).findings == [
        .badSignature(signer: .coordinator, keyID: keyID)
      ])
    let unsealed = try Self.forged(Self.files, try Self.manifest(Self.files), sealed: false)
    #expect(try Self.verify(unsealed).findings == [.unsealed])
    let (bytes, _) = try Self.package()
    #expect(
      try Self.verify(bytes, keys: [5]).findings == [
        .unknownSealKey(keyID: keyID), .unknownKey(signer: .coordinator, keyID: keyID),
      ])
    #expect(try Self.verify(bytes, keys: []).findings.count == 2)
  }

  @Test func badMinerSignatureIsNamed() throws {
    var manifest = try Self.manifest([("logs/a", "one")])
    let other = try Self.manifest([("logs/a", "two")]).entries
    let key = try testKey(2)
    manifest.signatures.append(try .miner(jobID: "job_01", entries: other, key: key))
    let bytes = try Self.forged([("logs/a", "one")], manifest)
    for keys in [[1], [1, 2]] as [[UInt8]] {
      #expect(try Self.verify(bytes, keys: keys).findings == [.badSignature(signer: .miner, keyID: key.publicKey.id)])
    }
  }

  @Test func foreignArchivesAreNamed() throws {
    let (bytes, _) = try Self.package()
    #expect(try Self.verify(bytes, job: "job_02").findings == [.wrongJob(expected: "job_02", actual: "job_01")])
    #expect(try Self.verify([]).findings == [.structure(.noEndRecord)])
    #expect(try Self.verify(archive([])).findings == [.unsealed, .package(.noRoot)])
    #expect(try Self.verify(archive([("a/x", []), ("b/x", [])])).findings == [.unsealed, .package(.noRoot)])
    #expect(try Self.verify(archive([("a/x", [])])).findings == [.unsealed, .package(.noManifest)])
    let broken = try archive([("job_01/manifest.json", [1])])
    #expect(try Self.verify(broken).findings == [.unsealed, .manifest(.notCanonical(offset: 0))])
    let wrongRoot = try Self.forged(Self.files, try Self.manifest(Self.files, jobID: "job_02"))
    #expect(try Self.verify(wrongRoot).findings == [.package(.wrongRoot(found: "job_01", jobID: "job_02"))])
  }

  /// Every bit of a small package, with the coordinator's key alone and with the digest.
  @Test func everyFlippedBitIsFound() throws {
    let (bytes, summary) = try Self.package()
    let verifier = PackageVerifier(trustedKeys: [try testKey(1).publicKey])
    for bit in 0..<(bytes.count * 8) {
      var changed = bytes
      changed[bit / 8] ^= 1 << UInt8(bit % 8)
      let report = try verifier.verify(BytesSource(changed), expectedDigest: summary.sha256)
      #expect(report.findings.count >= 2, "bit \(bit): \(report.findings)")
      #expect(report.findings.first == .archiveDigest(expected: summary.sha256, actual: report.sha256))
    }
  }

  /// The same where sizes follow the data and the data is compressed; some bits of the data stand for all.
  @Test func flippedBitsAroundALongEntryAreFound() throws {
    let (bytes, _) = try Self.package(padding: 600_000)
    let verifier = PackageVerifier(trustedKeys: [try testKey(1).publicKey])
    let start = try #require(bytes.firstIndex(of: 0x7A)) - 60
    for bit in stride(from: start * 8, to: (start + 1500) * 8, by: 7) {
      var changed = bytes
      changed[bit / 8] ^= 1 << UInt8(bit % 8)
      let report = try verifier.verify(BytesSource(changed))
      #expect(!report.isIntact, "bit \(bit)")
    }
  }

  @Test func removedAndAddedBytesAreFound() throws {
    let (bytes, _) = try Self.package()
    for index in stride(from: 0, through: bytes.count, by: 13) {
      #expect(!(try Self.verify(Array(bytes[..<index]) + [0] + Array(bytes[index...]))).isIntact)
      if index < bytes.count {
        #expect(!(try Self.verify(Array(bytes[..<index]) + Array(bytes[(index + 1)...]))).isIntact)
      }
    }
  }

  @Test func cancellation() throws {
    let (bytes, _) = try Self.package()
    let verifier = PackageVerifier(trustedKeys: [])
    for allowed in 0..<8 {
      var asked = 0
      #expect(throws: OperationCanceled.self) {
        try verifier.verify(BytesSource(bytes)) {
          asked += 1
          return asked <= allowed
        }
      }
    }
  }
}
