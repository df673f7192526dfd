public import Cryptography

/// What was built.
public struct PackageSummary: Equatable, Sendable {
  /// The SHA-256 of the archive.
  public let sha256: SHA256Digest
  /// The archive's size in bytes.
  public let size: UInt64
  public let manifest: Manifest
}

/// Builds a job's result package: the entries under `job_<id>/`, with a signed `manifest.json` in its place among the
/// sorted names, and the archive's seal.
///
/// The manifest describes every other file but does not stand last. So the digests of files that sort after it
/// (`output.json`, `result.txt`) must be known when its turn comes: from `PackageEntry.knownDigest`, or else those files
/// are read once before. Everything else is read once. The same input gives the same bytes.
public struct PackageBuilder: Sendable {
  private let jobID: String
  private let root: String
  private let signer: Ed25519PrivateKey
  private let minerSignature: ManifestSignature?
  private let threads: Int

  /// - Parameters:
  ///   - signer: the coordinator's key, for manifest and seal.
  ///   - minerSignature: from the miner, over exactly the entries under `logs/` and `artifacts/`.
  ///   - threads: how many threads compress; does not change the bytes.
  /// - Throws: `ManifestError.badJobID`.
  public init(
    jobID: String, signer: Ed25519PrivateKey, minerSignature: ManifestSignature? = nil, threads: Int = 1
  ) throws {
    root = try PackageRoot.name(jobID: jobID)
    self.jobID = jobID
    self.signer = signer
    self.minerSignature = minerSignature
    self.threads = threads
  }

  /// Writes the package to `sink`.
  ///
  /// - Parameter entries: every file but the manifest, in any order. A collection that makes its entries when they are
  ///   asked for saves memory; they are asked for again and again.
  /// - Throws: `PackageBuildError`, `FileError`, `OperationCanceled`, or what the sink throws; what the sink got is then
  ///   no package.
  public func build<Entries: RandomAccessCollection<PackageEntry>>(
    _ entries: Entries, to sink: any ByteSink, shouldContinue: @escaping ShouldContinue = { true }
  ) throws -> PackageSummary where Entries.Index == Int {
    // Their order, not a sorted copy: there may be a hundred thousand.
    let order = entries.indices.sorted { entries[$0].path < entries[$1].path }
    try check(entries, order)
    let writer = try ZipWriter(sink: sink, threads: threads, shouldContinue: shouldContinue)
    let split = order.partitioningIndex { !bytewiseLess(entries[$0].path.string, Manifest.fileName) }
    var described: [ManifestEntry] = []
    described.reserveCapacity(entries.count)
    for index in order[..<split] { described.append(try add(entries[index], to: writer)) }
    for index in order[split...] {
      let entry = entries[index]
      let digest = try entry.knownDigest ?? entry.digest(shouldContinue)
      described.append(ManifestEntry(path: entry.path, size: entry.source.size, sha256: digest))
    }
    let manifest = try signed(described)
    try add(manifest, to: writer)
    for (index, description) in zip(order[split...], described[split...]) {
      let added = try add(entries[index], to: writer)
      // A file that changed between its two readings.
      try Self.compare(description.sha256, added)
    }
    let summary = try writer.finish(commentLength: ArchiveSeal.length) { digest in
      try ArchiveSeal(digest: digest, key: signer).comment
    }
    return PackageSummary(sha256: summary.sha256, size: summary.size, manifest: manifest)
  }

  private func check<Entries: RandomAccessCollection<PackageEntry>>(
    _ entries: Entries, _ order: [Int]
  ) throws where Entries.Index == Int {
    let reserved = ArtifactPath.folded(Manifest.fileName)
    for entry in entries where entry.path.caseFolded == reserved {
      throw PackageBuildError.reservedPath(entry.path.string)
    }
    let names = Names(entries: entries, order: order)
    if let clash = NameClash.first(in: names) { throw PackageBuildError.nameClash(clash) }
  }

  private func add(_ entry: PackageEntry, to writer: ZipWriter) throws -> ManifestEntry {
    let added = try writer.add(
      name: "\(root)/\(entry.path.string)", size: entry.source.size, read: try entry.open())
    let description = ManifestEntry(path: entry.path, size: added.size, sha256: added.sha256)
    if let known = entry.knownDigest { try Self.compare(known, description) }
    return description
  }

  private static func compare(_ known: SHA256Digest, _ entry: ManifestEntry) throws {
    guard known == entry.sha256 else {
      throw PackageBuildError.digestDiffers(path: entry.path.string, known: known, actual: entry.sha256)
    }
  }

  private func add(_ manifest: Manifest, to writer: ZipWriter) throws {
    let size = Manifest.CanonicalPieces(manifest).reduce(0 as UInt64) { $0 + UInt64($1.count) }
    var pieces = Manifest.CanonicalPieces(manifest)
    var reader = PieceReader { pieces.next() }
    _ = try writer.add(name: "\(root)/\(Manifest.fileName)", size: size) { reader.read(into: $0) }
  }

  private func signed(_ entries: [ManifestEntry]) throws -> Manifest {
    var manifest = try Manifest(jobID: jobID, entries: entries)
    manifest.signatures = [try .coordinator(manifest, key: signer)]
    guard let minerSignature else { return manifest }
    guard minerSignature.signer == .miner, let key = try? Ed25519PublicKey(id: minerSignature.keyID),
      minerSignature.isValid(for: manifest, key: key)
    else { throw PackageBuildError.badMinerSignature }
    manifest.signatures.append(minerSignature)
    return manifest
  }
}

/// The manifest's name and those of the entries, in order; without a list of them.
private struct Names<Entries: RandomAccessCollection<PackageEntry>>: RandomAccessCollection where Entries.Index == Int {
  let entries: Entries
  let order: [Int]

  var startIndex: Int { 0 }
  var endIndex: Int { order.count + 1 }
  subscript(index: Int) -> String { index == 0 ? Manifest.fileName : entries[order[index - 1]].path.string }
}
