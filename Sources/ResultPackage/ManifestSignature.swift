public import Cryptography

/// Who signs a manifest.
public enum ManifestSigner: String, Sendable {
  /// All of it.
  case coordinator
  /// The files it sent.
  case miner

  /// What stands before the signed JSON, so that one kind of signature can never pass for another.
  var domain: String {
    switch self {
    case .coordinator: "aitbc-manifest-v1\n"
    case .miner: "aitbc-miner-manifest-v1\n"
    }
  }
}

/// One Ed25519 signature in a manifest.
public struct ManifestSignature: Hashable, Sendable {
  /// The only algorithm there is (RFC 8032, pure Ed25519).
  public static let algorithm = "Ed25519"

  public let signer: ManifestSigner
  /// Which key: `Ed25519PublicKey.id`.
  public let keyID: String
  /// 64 bytes.
  public let signature: [UInt8]

  public init(signer: ManifestSigner, keyID: String, signature: [UInt8]) {
    self.signer = signer
    self.keyID = keyID
    self.signature = signature
  }

  /// Signs the files a miner sent; `entries` may be in any order.
  public static func miner(
    jobID: String, entries: [ManifestEntry], key: Ed25519PrivateKey
  ) throws -> ManifestSignature {
    let message = Manifest.minerMessage(jobID: jobID, entries: entries)
    return ManifestSignature(signer: .miner, keyID: key.publicKey.id, signature: try key.sign(message))
  }

  /// Signs a whole manifest, without its signatures.
  public static func coordinator(_ manifest: Manifest, key: Ed25519PrivateKey) throws -> ManifestSignature {
    ManifestSignature(
      signer: .coordinator, keyID: key.publicKey.id, signature: try key.sign(manifest.coordinatorMessage))
  }

  /// Whether `key` made this signature for the manifest.
  public func isValid(for manifest: Manifest, key: Ed25519PublicKey) -> Bool {
    guard key.id == keyID else { return false }
    let message = signer == .coordinator ? manifest.coordinatorMessage : manifest.minerMessage
    return key.isValid(signature: signature, for: message)
  }

  func append(to bytes: inout [UInt8]) {
    bytes.append(contentsOf: (#"{"alg":""# + Self.algorithm + #"","key_id":"#).utf8)
    CanonicalJSON.append(keyID, to: &bytes)
    bytes.append(contentsOf: #","signature":"#.utf8)
    CanonicalJSON.append(Base64URL.encode(signature), to: &bytes)
    bytes.append(contentsOf: (#","signer":""# + signer.rawValue + #""}"#).utf8)
  }
}
