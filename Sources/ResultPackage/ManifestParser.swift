import Cryptography

/// Why bytes are no manifest.
public enum ManifestError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The bytes are not the canonical JSON of a manifest, from this byte on.
  case notCanonical(offset: Int)
  case unsupportedVersion(UInt64)
  case badJobID(String)
  case badPath(String, ArtifactPathError)
  case badDigest(path: String)
  /// Paths must ascend strictly, bytewise.
  case outOfOrder(path: String)
  /// The manifest lists itself.
  case reservedPath
  case badSigner(String)
  case badKeyID(String)
  case badSignature(signer: String)
  case unsupportedAlgorithm(String)

  public var description: String {
    switch self {
    case .notCanonical(let offset): "the manifest is not in canonical form at byte \(offset)"
    case .unsupportedVersion(let version): "version: \(version) is not supported"
    case .badJobID(let id): "job_id: \(id) is no job's id"
    case .badPath(let path, let error): "entries.path: \(path): \(error)"
    case .badDigest(let path): "entries.sha256 of \(path): expected 64 lower-case hexadecimal digits"
    case .outOfOrder(let path): "entries: \(path) is out of order or stands there twice"
    case .reservedPath: "entries: the manifest lists itself"
    case .badSigner(let signer): "signatures.signer: \(signer) is neither coordinator nor miner, or stands there twice"
    case .badKeyID(let id): "signatures.key_id: \(id) is no key id"
    case .badSignature(let signer): "signatures.signature of the \(signer): expected 64 bytes in Base64URL"
    case .unsupportedAlgorithm(let name): "signatures.alg: \(name) is not supported"
    }
  }
}

extension Manifest {
  /// Reads `manifest.json`, strictly: the bytes must be `canonicalBytes` of the result.
  public init(parsing bytes: [UInt8]) throws(ManifestError) {
    var scanner = CanonicalScanner(bytes)
    try scanner.expect(#"{"entries":["#)
    var entries: [ManifestEntry] = []
    if !scanner.take("]") {
      repeat { entries.append(try Self.entry(&scanner)) } while scanner.take(",")
      try scanner.expect("]")
    }
    try scanner.expect(#","job_id":"#)
    let jobID = try scanner.string()
    try scanner.expect(#","signatures":["#)
    var signatures: [ManifestSignature] = []
    if !scanner.take("]") {
      repeat {
        let signature = try Self.signature(&scanner)
        guard !signatures.contains(where: { $0.signer == signature.signer }) else {
          throw .badSigner(signature.signer.rawValue)
        }
        signatures.append(signature)
      } while scanner.take(",")
      try scanner.expect("]")
    }
    try scanner.expect(#","version":"#)
    let version = try scanner.integer()
    guard version == Self.version else { throw .unsupportedVersion(version) }
    try scanner.expect("}")
    guard scanner.isAtEnd else { throw .notCanonical(offset: scanner.offset) }
    try self.init(jobID: jobID, entries: entries, signatures: signatures)
  }

  private static func entry(_ scanner: inout CanonicalScanner) throws(ManifestError) -> ManifestEntry {
    try scanner.expect(#"{"path":"#)
    let text = try scanner.string()
    let path: ArtifactPath
    do {
      path = try ArtifactPath(validating: text)
    } catch {
      throw .badPath(text, error)
    }
    try scanner.expect(#","sha256":"#)
    let hex = try scanner.string()
    guard let digest = SHA256Digest(hex: hex), digest.hex == hex else { throw .badDigest(path: text) }
    try scanner.expect(#","size":"#)
    let size = try scanner.integer()
    try scanner.expect("}")
    return ManifestEntry(path: path, size: size, sha256: digest)
  }

  private static func signature(_ scanner: inout CanonicalScanner) throws(ManifestError) -> ManifestSignature {
    try scanner.expect(#"{"alg":"#)
    let algorithm = try scanner.string()
    guard algorithm == ManifestSignature.algorithm else { throw .unsupportedAlgorithm(algorithm) }
    try scanner.expect(#","key_id":"#)
    let keyID = try scanner.string()
    guard (try? Ed25519PublicKey(id: keyID)) != nil else { throw .badKeyID(keyID) }
    try scanner.expect(#","signature":"#)
    let signatureText = try scanner.string()
    try scanner.expect(#","signer":"#)
    let signerText = try scanner.string()
    guard let signer = ManifestSigner(rawValue: signerText) else { throw .badSigner(signerText) }
    guard let signature = Base64URL.decode(signatureText), signature.count == Ed25519PublicKey.signatureByteCount
    else { throw .badSignature(signer: signerText) }
    try scanner.expect("}")
    return ManifestSignature(signer: signer, keyID: keyID, signature: signature)
  }
}
