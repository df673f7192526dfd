public import Cryptography

/// One thing that is wrong with a package.
public enum VerificationFinding: Equatable, Sendable {
  /// The archive is not the one whose digest was expected.
  case archiveDigest(expected: SHA256Digest, actual: SHA256Digest)
  /// The archive cannot be read as one; nothing more can be told.
  case structure(ZipRefusal)
  /// The archive is no result package.
  case package(PackageRefusal)
  case manifest(ManifestError)
  /// Of another job than the one expected.
  case wrongJob(expected: String, actual: String)
  /// The manifest lists a file that is not there.
  case missing(path: String)
  /// There is a file that the manifest does not list.
  case added(path: String)
  /// A file has another name than the manifest tells.
  case renamed(from: String, to: String)
  case size(path: String, expected: UInt64, actual: UInt64)
  case digest(path: String, expected: SHA256Digest, actual: SHA256Digest)
  /// A file's data cannot be read.
  case data(path: String, ZipRefusal)
  /// The manifest has no signature of the coordinator.
  case unsigned
  /// Signed with a key that is not trusted.
  case unknownKey(signer: ManifestSigner, keyID: String)
  case badSignature(signer: ManifestSigner, keyID: String)
  /// The archive has no seal.
  case unsealed
  case unknownSealKey(keyID: String)
  /// Some byte of the archive changed, be it one that no file shows.
  case badSeal(keyID: String)
}

extension VerificationFinding: CustomStringConvertible {
  public var description: String {
    switch self {
    case .archiveDigest(let expected, let actual): "archive: SHA-256 is \(actual), expected \(expected)"
    case .structure(let refusal): "archive: \(refusal)"
    case .package(let refusal): "package: \(refusal)"
    case .manifest(let error): "\(Manifest.fileName): \(error)"
    case .wrongJob(let expected, let actual): "package: of job \(actual), expected \(expected)"
    case .missing(let path): "\(path): missing"
    case .added(let path): "\(path): not in the manifest"
    case .renamed(let from, let to): "\(from): renamed to \(to)"
    case .size(let path, let expected, let actual): "\(path): \(actual) bytes, expected \(expected)"
    case .digest(let path, let expected, let actual): "\(path): SHA-256 is \(actual), expected \(expected)"
    case .data(let path, let refusal): "\(path): \(refusal)"
    case .unsigned: "\(Manifest.fileName): no signature of the coordinator"
    case .unknownKey(let signer, let keyID):
      "\(Manifest.fileName): the \(signer.rawValue)'s key \(keyID) is not trusted"
    case .badSignature(let signer, _): "\(Manifest.fileName): the \(signer.rawValue)'s signature is wrong"
    case .unsealed: "archive: no seal"
    case .unknownSealKey(let keyID): "archive: sealed with the key \(keyID), which is not trusted"
    case .badSeal: "archive: the seal is wrong: bytes were changed"
    }
  }
}

/// What a verification found.
public struct VerificationReport: Sendable {
  /// The SHA-256 of the file as it is.
  public let sha256: SHA256Digest
  /// The file's size in bytes.
  public let size: UInt64
  /// nil when it could not be read.
  public let manifest: Manifest?
  /// Everything that is wrong; empty when the package is intact.
  public let findings: [VerificationFinding]
  /// The key that signed the miner's part, and whether it was on the list of trusted keys. A miner's key need not be:
  /// the seal says that the coordinator took that signature for the miner's.
  public let miner: (keyID: String, isListed: Bool)?

  public var isIntact: Bool { findings.isEmpty }
}
