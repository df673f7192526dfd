import Cryptography
import Foundation
import ResultPackage
import Testing

struct ManifestTests {
  static func manifest() throws -> Manifest {
    let entries = try [("artifacts/a \"q\" é.bin", 3), ("logs/stdout.log", 0), ("output.json", 1 << 40)].map {
      ManifestEntry(path: try ArtifactPath($0.0), size: UInt64($0.1), sha256: SHA256.hash($0.0.utf8))
    }
    var manifest = try Manifest(jobID: "job_01", entries: entries)
    manifest.signatures = [
      try .coordinator(manifest, key: testKey(1)), try .miner(jobID: "job_01", entries: entries, key: testKey(2)),
    ]
    return manifest
  }

  @Test func roundTrip() throws {
    let manifest = try Self.manifest()
    #expect(try Manifest(parsing: manifest.canonicalBytes) == manifest)
    let empty = try Manifest(jobID: "x", entries: [])
    #expect(
      String(decoding: empty.canonicalBytes, as: UTF8.self)
        == #"{"entries":[],"job_id":"x","signatures":[],"version":1}"#)
    #expect(try Manifest(parsing: empty.canonicalBytes) == empty)
  }

  @Test func signedBytesAreTheCanonicalFormUnderADomain() throws {
    let digest = SHA256.hash([])
    let entries = try ["logs/a", "output.json"].map {
      ManifestEntry(path: try ArtifactPath($0), size: 0, sha256: digest)
    }
    let manifest = try Manifest(jobID: "job_1", entries: entries)
    let first = #"{"path":"logs/a","sha256":"\#(digest)","size":0}"#
    let second = #"{"path":"output.json","sha256":"\#(digest)","size":0}"#
    #expect(
      String(decoding: manifest.coordinatorMessage, as: UTF8.self)
        == "aitbc-manifest-v1\n" + #"{"entries":[\#(first),\#(second)],"job_id":"job_1","version":1}"#)
    #expect(
      String(decoding: manifest.minerMessage, as: UTF8.self)
        == "aitbc-miner-manifest-v1\n" + #"{"entries":[\#(first)],"job_id":"job_1","version":1}"#)
    #expect(Manifest.minerMessage(jobID: "job_1", entries: entries.reversed()) == manifest.minerMessage)
  }

  /// Python's `json`, told to write the canonical form, writes the same bytes.
  @Test func canonicalFormIsPythons() throws {
    let folder = try TemporaryFolder()
    let manifest = try Self.manifest()
    try folder.write(manifest.canonicalBytes, to: "manifest.json")
    let result = try shell(
      """
      python3 -c '
      import json
      raw = open("manifest.json", "rb").read()
      text = json.dumps(json.loads(raw), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
      print(text.encode() == raw)'
      """, in: folder.path)
    #expect(result.output == "True\n")
  }

  @Test func everyChangedByteIsRefusedOrChangesTheValue() throws {
    let manifest = try Self.manifest()
    let bytes = manifest.canonicalBytes
    for index in bytes.indices {
      for bit in 0..<8 {
        var changed = bytes
        changed[index] ^= 1 << UInt8(bit)
        if let other = try? Manifest(parsing: changed) {
          #expect(other != manifest && other.canonicalBytes == changed, "byte \(index)")
        }
      }
    }
  }

  @Test func everyTruncationIsRefused() throws {
    let bytes = try Self.manifest().canonicalBytes
    for length in bytes.indices {
      #expect(throws: ManifestError.self) { try Manifest(parsing: Array(bytes[..<length])) }
    }
    #expect(throws: ManifestError.notCanonical(offset: bytes.count)) { try Manifest(parsing: bytes + [0x0A]) }
  }

  static let digest = SHA256.hash([]).hex

  /// Texts and the error each gives; `D` stands for a digest.
  static let refused: [(String, ManifestError)] = [
    ("", .notCanonical(offset: 0)),
    (#"{ "entries":[],"job_id":"x","signatures":[],"version":1}"#, .notCanonical(offset: 0)),
    (#"{"entries":[],"job_id":"x","signatures":[],"version":2}"#, .unsupportedVersion(2)),
    (#"{"entries":[],"job_id":"x","signatures":[],"version":01}"#, .notCanonical(offset: 53)),
    (#"{"entries":[],"job_id":"x","signatures":[],"version":-1}"#, .notCanonical(offset: 53)),
    (#"{"entries":[],"job_id":"x","signatures":[],"version":1.0}"#, .notCanonical(offset: 54)),
    (#"{"entries":[],"job_id":"x","signatures":[],"version":18446744073709551616}"#, .notCanonical(offset: 53)),
    (#"{"entries":[],"job_id":"x/y","signatures":[],"version":1}"#, .badJobID("x/y")),
    (#"{"entries":[],"job_id":"","signatures":[],"version":1}"#, .badJobID("")),
    (#"{"entries":[],"job_id":"\u0078","signatures":[],"version":1}"#, .notCanonical(offset: 23)),
    (#"{"entries":[],"job_id":"\/","signatures":[],"version":1}"#, .notCanonical(offset: 24)),
    (
      #"{"entries":[{"path":"../a","sha256":"D","size":0}],"job_id":"x","signatures":[],"version":1}"#,
      .badPath("../a", .dotSegment)
    ),
    (
      #"{"entries":[{"path":"a\n","sha256":"D","size":0}],"job_id":"x","signatures":[],"version":1}"#,
      .badPath("a\n", .controlCharacter(byte: 10, offset: 1))
    ),
    (
      #"{"entries":[{"path":"a","sha256":"00","size":0}],"job_id":"x","signatures":[],"version":1}"#,
      .badDigest(path: "a")
    ),
    (
      #"{"entries":[{"path":"a","sha256":"E","size":0}],"job_id":"x","signatures":[],"version":1}"#,
      .badDigest(path: "a")
    ),
    (
      #"{"entries":[{"path":"b","sha256":"D","size":0},{"path":"a","sha256":"D","size":0}],"job_id":"x","signatures":[],"version":1}"#,
      .outOfOrder(path: "a")
    ),
    (
      #"{"entries":[{"path":"a","sha256":"D","size":0},{"path":"a","sha256":"D","size":0}],"job_id":"x","signatures":[],"version":1}"#,
      .outOfOrder(path: "a")
    ),
    (
      #"{"entries":[{"path":"manifest.json","sha256":"D","size":0}],"job_id":"x","signatures":[],"version":1}"#,
      .reservedPath
    ),
    (
      #"{"entries":[],"job_id":"x","signatures":[{"alg":"RSA","key_id":"K","signature":"S","signer":"miner"}],"version":1}"#,
      .unsupportedAlgorithm("RSA")
    ),
    (
      #"{"entries":[],"job_id":"x","signatures":[{"alg":"Ed25519","key_id":"no","signature":"S","signer":"miner"}],"version":1}"#,
      .badKeyID("no")
    ),
    (
      #"{"entries":[],"job_id":"x","signatures":[{"alg":"Ed25519","key_id":"K","signature":"AA","signer":"miner"}],"version":1}"#,
      .badSignature(signer: "miner")
    ),
    (
      #"{"entries":[],"job_id":"x","signatures":[{"alg":"Ed25519","key_id":"K","signature":"S","signer":"me"}],"version":1}"#,
      .badSigner("me")
    ),
    (
      #"{"entries":[],"job_id":"x","signatures":[{"alg":"Ed25519","key_id":"K","signature":"S","signer":"miner"},{"alg":"Ed25519","key_id":"K","signature":"S","signer":"miner"}],"version":1}"#,
      .badSigner("miner")
    ),
  ]

  @Test func badManifestsAreRefusedWithAReason() throws {
    let keyID = try testKey(1).publicKey.id
    let signature = Base64URL.encode([UInt8](repeating: 0, count: 64))
    for (text, reason) in Self.refused {
      let filled = text.replacingOccurrences(of: #""D""#, with: "\"\(Self.digest)\"")
        .replacingOccurrences(of: #""E""#, with: "\"\(Self.digest.uppercased())\"")
        .replacingOccurrences(of: #""K""#, with: "\"\(keyID)\"").replacingOccurrences(
          of: #""S""#, with: "\"\(signature)\"")
      #expect(throws: reason, "\(text)") { try Manifest(parsing: Array(filled.utf8)) }
    }
  }

  @Test func signaturesHoldForTheirDomainAndKeyOnly() throws {
    let manifest = try Self.manifest()
    let coordinator = manifest.signatures[0]
    let miner = manifest.signatures[1]
    #expect(coordinator.isValid(for: manifest, key: try testKey(1).publicKey))
    #expect(miner.isValid(for: manifest, key: try testKey(2).publicKey))
    #expect(!coordinator.isValid(for: manifest, key: try testKey(2).publicKey))
    let swapped = ManifestSignature(signer: .miner, keyID: coordinator.keyID, signature: coordinator.signature)
    #expect(!swapped.isValid(for: manifest, key: try testKey(1).publicKey))
    let other = try Manifest(jobID: "job_02", entries: manifest.entries)
    #expect(!coordinator.isValid(for: other, key: try testKey(1).publicKey))
    #expect(!miner.isValid(for: other, key: try testKey(2).publicKey))
  }

  @Test func minersSignatureCoversItsFilesOnly() throws {
    let manifest = try Self.manifest()
    let key = try testKey(2).publicKey
    func with(_ path: String, size: UInt64) throws -> Manifest {
      try Manifest(
        jobID: manifest.jobID,
        entries: manifest.entries.map {
          $0.path.string == path ? ManifestEntry(path: $0.path, size: size, sha256: $0.sha256) : $0
        })
    }
    #expect(manifest.signatures[1].isValid(for: try with("output.json", size: 9), key: key))
    #expect(!manifest.signatures[1].isValid(for: try with("logs/stdout.log", size: 9), key: key))
    #expect(!manifest.signatures[0].isValid(for: try with("output.json", size: 9), key: try testKey(1).publicKey))
  }

  @Test func lookup() throws {
    let manifest = try Self.manifest()
    for entry in manifest.entries { #expect(manifest.entry(for: entry.path) == entry) }
    #expect(manifest.entry(for: try ArtifactPath("logs/none")) == nil)
    #expect(manifest.entry(for: try ArtifactPath("zzz")) == nil)
  }

  @Test func rootFolderIsNotDoubled() throws {
    #expect(try PackageRoot.name(jobID: "job_01hx") == "job_01hx")
    #expect(try PackageRoot.name(jobID: "01hx") == "job_01hx")
    #expect(try PackageRoot.name(jobID: String(repeating: "a", count: 120)).utf8.count == 124)
    for bad in ["", "a/b", "..", "a b", "é", String(repeating: "a", count: 121)] {
      #expect(throws: ManifestError.badJobID(bad)) { try PackageRoot.name(jobID: bad) }
    }
  }
}
