public import Cryptography

/// What a manifest says of one file.
public struct ManifestEntry: Hashable, Sendable {
  /// Relative to the package's root folder.
  public let path: ArtifactPath
  /// In bytes.
  public let size: UInt64
  public let sha256: SHA256Digest

  public init(path: ArtifactPath, size: UInt64, sha256: SHA256Digest) {
    self.path = path
    self.size = size
    self.sha256 = sha256
  }

  /// Whether the miner made this file, so that its signature covers it: logs and artifacts.
  public var isMiners: Bool {
    path.string.utf8.starts(with: "logs/".utf8) || path.string.utf8.starts(with: "artifacts/".utf8)
  }
}

/// `manifest.json`: every other file of a package with size and digest, and who vouches for them.
public struct Manifest: Equatable, Sendable {
  /// The only version there is.
  public static let version: UInt64 = 1
  /// The manifest's own name in the root folder; no other file may have it.
  public static let fileName = "manifest.json"

  public let jobID: String
  /// Every file but the manifest, in bytewise order of the paths.
  public let entries: [ManifestEntry]
  /// The miner's signature, if any, after the coordinator's.
  public var signatures: [ManifestSignature]

  /// - Throws: `ManifestError` when the job's id is no name for a folder, or the entries are not in strictly ascending
  ///   order, or one of them has the manifest's own name.
  public init(
    jobID: String, entries: [ManifestEntry], signatures: [ManifestSignature] = []
  ) throws(ManifestError) {
    _ = try PackageRoot.name(jobID: jobID)
    var previous: ArtifactPath?
    for entry in entries {
      guard entry.path.string != Self.fileName else { throw .reservedPath }
      if let previous, !(previous < entry.path) { throw .outOfOrder(path: entry.path.string) }
      previous = entry.path
    }
    self.jobID = jobID
    self.entries = entries
    self.signatures = signatures
  }

  public func entry(for path: ArtifactPath) -> ManifestEntry? {
    let index = entries.partitioningIndex { !($0.path < path) }
    return index < entries.count && entries[index].path == path ? entries[index] : nil
  }

  /// The canonical form of the whole: the bytes of `manifest.json`.
  public var canonicalBytes: [UInt8] {
    var bytes: [UInt8] = []
    Self.reserve(entries, in: &bytes)
    for piece in CanonicalPieces(self) { bytes.append(contentsOf: piece) }
    return bytes
  }

  /// The canonical form in pieces of some hundred kibibytes: with a hundred thousand entries it has many megabytes.
  struct CanonicalPieces: Sequence, IteratorProtocol {
    private static let entriesInPiece = 2048
    private let manifest: Manifest
    private var position = 0
    private var isDone = false

    init(_ manifest: Manifest) { self.manifest = manifest }

    mutating func next() -> [UInt8]? {
      guard !isDone else { return nil }
      var bytes: [UInt8] = []
      if position == 0 { bytes.append(contentsOf: #"{"entries":["#.utf8) }
      let entries = manifest.entries
      let end = Swift.min(position + Self.entriesInPiece, entries.count)
      for index in position..<end { Manifest.append(entries[index], isFirst: index == 0, to: &bytes) }
      position = end
      guard end == entries.count else { return bytes }
      isDone = true
      Manifest.appendJobID(manifest.jobID, to: &bytes)
      bytes.append(contentsOf: #","signatures":["#.utf8)
      for (index, signature) in manifest.signatures.enumerated() {
        if index > 0 { bytes.append(UInt8(ascii: ",")) }
        signature.append(to: &bytes)
      }
      bytes.append(contentsOf: "]".utf8)
      Manifest.appendTail(to: &bytes)
      return bytes
    }
  }

  /// The bytes that the coordinator signs: `aitbc-manifest-v1`, a line feed, and the canonical form without the member
  /// `signatures`.
  public var coordinatorMessage: [UInt8] {
    Self.message(domain: ManifestSigner.coordinator.domain, jobID: jobID, entries)
  }

  /// The bytes that the miner signs: `aitbc-miner-manifest-v1`, a line feed, and the canonical form of a manifest
  /// without `signatures` that lists only the miner's files (`logs/…`, `artifacts/…`).
  public var minerMessage: [UInt8] {
    Self.message(domain: ManifestSigner.miner.domain, jobID: jobID, entries.lazy.filter(\.isMiners))
  }

  /// The miner's message, for the miner itself: `entries` may be in any order, others than its own files are left out.
  public static func minerMessage(jobID: String, entries: [ManifestEntry]) -> [UInt8] {
    let own = entries.filter(\.isMiners).sorted { $0.path < $1.path }
    return message(domain: ManifestSigner.miner.domain, jobID: jobID, own)
  }

  /// `entries` in order; not copied, for there may be a hundred thousand.
  private static func message(domain: String, jobID: String, _ entries: some Collection<ManifestEntry>) -> [UInt8] {
    var bytes: [UInt8] = []
    reserve(entries, in: &bytes)
    bytes.append(contentsOf: domain.utf8)
    bytes.append(contentsOf: #"{"entries":["#.utf8)
    for (index, entry) in entries.enumerated() { append(entry, isFirst: index == 0, to: &bytes) }
    appendJobID(jobID, to: &bytes)
    appendTail(to: &bytes)
    return bytes
  }

  /// With a hundred thousand entries this is long: it must not be copied to grow.
  private static func reserve(_ entries: some Collection<ManifestEntry>, in bytes: inout [UInt8]) {
    bytes.reserveCapacity(entries.reduce(1024) { $0 + $1.path.string.utf8.count + 128 })
  }

  private static func append(_ entry: ManifestEntry, isFirst: Bool, to bytes: inout [UInt8]) {
    bytes.append(contentsOf: (isFirst ? #"{"path":"# : #",{"path":"#).utf8)
    CanonicalJSON.append(entry.path.string, to: &bytes)
    bytes.append(contentsOf: #","sha256":""#.utf8)
    bytes.append(contentsOf: entry.sha256.hex.utf8)
    bytes.append(contentsOf: #"","size":"#.utf8)
    CanonicalJSON.append(entry.size, to: &bytes)
    bytes.append(UInt8(ascii: "}"))
  }

  private static func appendJobID(_ jobID: String, to bytes: inout [UInt8]) {
    bytes.append(contentsOf: #"],"job_id":"#.utf8)
    CanonicalJSON.append(jobID, to: &bytes)
  }

  private static func appendTail(to bytes: inout [UInt8]) {
    bytes.append(contentsOf: #","version":"#.utf8)
    CanonicalJSON.append(version, to: &bytes)
    bytes.append(UInt8(ascii: "}"))
  }
}

extension Array {
  /// The index of the first element that fulfils the condition, in an array where all after it do too.
  func partitioningIndex(where condition: (Element) -> Bool) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if condition(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
