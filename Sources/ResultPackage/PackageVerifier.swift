public import Cryptography

/// Checks a package file against its manifest, its signatures and its seal, and names each mismatch.
///
/// With the expected digest, or with the coordinator's public key alone, any changed bit of the file is found.
public struct PackageVerifier: Sendable {
  private let trustedKeys: [String: Ed25519PublicKey]
  private let limits: ZipLimits

  /// - Parameter trustedKeys: the coordinator's public keys, old ones too, and those of miners if they are known.
  public init(trustedKeys: [Ed25519PublicKey], limits: ZipLimits = ZipLimits()) {
    self.trustedKeys = Dictionary(trustedKeys.map { ($0.id, $0) }) { first, _ in first }
    self.limits = limits
  }

  /// Reads the file twice: once as bytes, once as files.
  ///
  /// - Parameters:
  ///   - expectedDigest: the archive's SHA-256 from elsewhere (`output.sha256`, the receipt).
  ///   - expectedJobID: the job it must be of.
  /// - Throws: only when the file cannot be read (`FileError`, …) or `OperationCanceled`.
  public func verify(
    _ source: any RandomAccessSource, expectedDigest: SHA256Digest? = nil, expectedJobID: String? = nil,
    shouldContinue: @escaping ShouldContinue = { true }
  ) throws -> VerificationReport {
    var check = PackageCheck(source: source, trustedKeys: trustedKeys, shouldContinue: shouldContinue)
    do {
      let archive = try ZipReader(source, limits: limits, shouldContinue: shouldContinue)
      try check.hash(commentLength: archive.comment.count)
      check.checkSeal(archive.comment)
      let package = try PackageReader(archive, shouldContinue: shouldContinue)
      check.manifest = package.manifest
      if let expectedJobID, package.manifest.jobID != expectedJobID {
        check.findings.append(.wrongJob(expected: expectedJobID, actual: package.manifest.jobID))
      }
      check.checkSignatures(package.manifest)
      try check.checkEntries(package)
    } catch let refusal as ZipRefusal {
      check.findings.append(.structure(refusal))
    } catch let refusal as PackageRefusal {
      check.findings.append(.package(refusal))
    } catch let error as ManifestError {
      check.findings.append(.manifest(error))
    } catch is LimitExceeded {
      check.findings.append(.manifest(.notCanonical(offset: PackageReader.maximumManifestSize)))
    }
    return try check.report(expectedDigest)
  }
}

/// One verification under way.
private struct PackageCheck {
  let source: any RandomAccessSource
  let trustedKeys: [String: Ed25519PublicKey]
  let shouldContinue: ShouldContinue
  var manifest: Manifest?
  var findings: [VerificationFinding] = []
  private var digests: (sealed: SHA256Digest, whole: SHA256Digest)?
  private var miner: (keyID: String, isListed: Bool)?

  init(
    source: any RandomAccessSource, trustedKeys: [String: Ed25519PublicKey], shouldContinue: @escaping ShouldContinue
  ) {
    self.source = source
    self.trustedKeys = trustedKeys
    self.shouldContinue = shouldContinue
  }

  /// Takes the digests of the whole file and of all before its comment.
  mutating func hash(commentLength: Int) throws {
    let hasher = SHA256()
    try hash(0..<source.size - UInt64(commentLength), into: hasher)
    let sealed = hasher.digestSoFar()
    try hash(source.size - UInt64(commentLength)..<source.size, into: hasher)
    digests = (sealed, hasher.finalize())
  }

  private func hash(_ range: Range<UInt64>, into hasher: SHA256) throws {
    var offset = range.lowerBound
    var buffer = [UInt8](repeating: 0, count: Int(min(UInt64(range.count), UInt64(ZipFormat.chunkSize))))
    while offset < range.upperBound {
      guard shouldContinue() else { throw OperationCanceled() }
      let count = Int(min(range.upperBound - offset, UInt64(buffer.count)))
      try buffer.withUnsafeMutableBytes { bytes in
        let part = UnsafeMutableRawBufferPointer(rebasing: bytes[..<count])
        try source.read(at: offset, into: part)
        hasher.update(UnsafeRawBufferPointer(part))
      }
      offset += UInt64(count)
    }
  }

  mutating func checkSeal(_ comment: [UInt8]) {
    guard let seal = ArchiveSeal(comment: comment), let digests else {
      findings.append(.unsealed)
      return
    }
    guard let key = trustedKeys[seal.keyID] else {
      findings.append(.unknownSealKey(keyID: seal.keyID))
      return
    }
    if !seal.isValid(for: digests.sealed, key: key) { findings.append(.badSeal(keyID: seal.keyID)) }
  }

  mutating func checkSignatures(_ manifest: Manifest) {
    if !manifest.signatures.contains(where: { $0.signer == .coordinator }) { findings.append(.unsigned) }
    for signature in manifest.signatures {
      let listed = trustedKeys[signature.keyID]
      if signature.signer == .miner { miner = (signature.keyID, listed != nil) }
      // A key's id is the key, so an unlisted miner's signature can be checked all the same.
      let key = listed ?? (signature.signer == .miner ? try? Ed25519PublicKey(id: signature.keyID) : nil)
      guard let key else {
        findings.append(.unknownKey(signer: signature.signer, keyID: signature.keyID))
        continue
      }
      if !signature.isValid(for: manifest, key: key) {
        findings.append(.badSignature(signer: signature.signer, keyID: signature.keyID))
      }
    }
  }

  /// Compares the manifest's list with the archive's: both are sorted, so they are merged.
  mutating func checkEntries(_ package: PackageReader) throws {
    var missing: [ManifestEntry] = []
    var added: [(path: String, sha256: SHA256Digest)] = []
    var listed = package.manifest.entries[...]
    let prefixLength = package.root.utf8.count + 1
    for entry in package.archive.entries {
      let path = String(decoding: entry.name.utf8.dropFirst(prefixLength), as: UTF8.self)
      if path == Manifest.fileName { continue }
      while let next = listed.first, bytewiseLess(next.path.string, path) { missing.append(listed.removeFirst()) }
      guard let digest = try digest(of: entry, path, package.archive) else {
        if listed.first.map({ $0.path.string.utf8.elementsEqual(path.utf8) }) == true { listed.removeFirst() }
        continue
      }
      if let next = listed.first, next.path.string.utf8.elementsEqual(path.utf8) {
        compare(listed.removeFirst(), path, entry.size, digest)
      } else {
        added.append((path, digest))
      }
    }
    reportMoves(missing + listed, added)
  }

  private mutating func digest(of entry: ZipEntry, _ path: String, _ archive: ZipReader) throws -> SHA256Digest? {
    do {
      return try archive.read(entry, to: ClosureSink { _ in }, shouldContinue: shouldContinue)
    } catch let refusal as ZipRefusal {
      findings.append(.data(path: path, refusal))
      return nil
    }
  }

  private mutating func compare(_ entry: ManifestEntry, _ path: String, _ size: UInt64, _ digest: SHA256Digest) {
    if entry.size != size { findings.append(.size(path: path, expected: entry.size, actual: size)) }
    if entry.sha256 != digest { findings.append(.digest(path: path, expected: entry.sha256, actual: digest)) }
  }

  /// A missing file and an added one with the same bytes are one renamed file.
  private mutating func reportMoves(_ missing: [ManifestEntry], _ added: [(path: String, sha256: SHA256Digest)]) {
    var byDigest: [SHA256Digest: [String]] = [:]
    for file in added.reversed() { byDigest[file.sha256, default: []].append(file.path) }
    var moved: Set<String> = []
    for entry in missing {
      if let path = byDigest[entry.sha256]?.popLast() {
        moved.insert(path)
        findings.append(.renamed(from: entry.path.string, to: path))
      } else {
        findings.append(.missing(path: entry.path.string))
      }
    }
    for file in added where !moved.contains(file.path) { findings.append(.added(path: file.path)) }
  }

  mutating func report(_ expectedDigest: SHA256Digest?) throws -> VerificationReport {
    if digests == nil { try hash(commentLength: 0) }
    guard let digests else { throw OperationCanceled() }
    if let expectedDigest, expectedDigest != digests.whole {
      findings.insert(.archiveDigest(expected: expectedDigest, actual: digests.whole), at: 0)
    }
    return VerificationReport(
      sha256: digests.whole, size: source.size, manifest: manifest, findings: findings, miner: miner)
  }
}
