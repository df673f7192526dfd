public import Cryptography

/// The coordinator's signature of the archive itself, in the archive's comment:
/// `aitbc-seal-v1 KEY_ID SIGNATURE`.
///
/// The manifest vouches for the files. But compressed data has spare bits, and ZIP headers repeat themselves: some
/// bytes can change and leave all files as they are. The seal signs `aitbc-archive-v1`, a line feed, and the 64
/// hexadecimal digits of the SHA-256 of every byte before the comment, so that an archive alone shows any change.
public struct ArchiveSeal: Equatable, Sendable {
  private static let domain = "aitbc-archive-v1\n"
  private static let label = "aitbc-seal-v1"
  /// The comment's length in bytes: always the same, because it stands in the signed bytes.
  static let length = label.utf8.count + 1 + 43 + 1 + 86

  /// Which key: `Ed25519PublicKey.id`.
  public let keyID: String
  /// 64 bytes.
  public let signature: [UInt8]

  /// Signs the digest of all bytes before the comment.
  init(digest: SHA256Digest, key: Ed25519PrivateKey) throws {
    keyID = key.publicKey.id
    signature = try key.sign(Self.message(digest))
  }

  /// Reads an archive's comment; nil when it is no seal.
  public init?(comment: [UInt8]) {
    let parts = comment.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
      .map { String(decoding: $0, as: UTF8.self) }
    guard parts.count == 3, parts[0] == Self.label, (try? Ed25519PublicKey(id: parts[1])) != nil,
      let signature = Base64URL.decode(parts[2]), signature.count == Ed25519PublicKey.signatureByteCount
    else { return nil }
    keyID = parts[1]
    self.signature = signature
  }

  /// The comment's bytes.
  var comment: [UInt8] { Array("\(Self.label) \(keyID) \(Base64URL.encode(signature))".utf8) }

  /// Whether `key` sealed an archive whose bytes before the comment have this digest.
  public func isValid(for digest: SHA256Digest, key: Ed25519PublicKey) -> Bool {
    key.id == keyID && key.isValid(signature: signature, for: Self.message(digest))
  }

  private static func message(_ digest: SHA256Digest) -> [UInt8] { Array((domain + digest.hex).utf8) }
}
