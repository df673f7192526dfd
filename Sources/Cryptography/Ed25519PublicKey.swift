import COpenSSL

/// An Ed25519 public key (RFC 8032).
public struct Ed25519PublicKey: Hashable, Sendable, CustomStringConvertible {
  /// A raw key's length in bytes.
  public static let byteCount = 32
  /// A signature's length in bytes.
  public static let signatureByteCount = 64

  /// DER of `SubjectPublicKeyInfo` before the raw key (RFC 8410 §4).
  private static let derPrefix: [UInt8] = [0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00]

  /// The 32 raw bytes.
  public let rawBytes: [UInt8]
  private let key: EVPKey

  /// Takes the 32 raw bytes. Whether they are a point on the curve shows only when a signature is checked: a key that
  /// is none accepts no signature.
  public init(rawBytes: some Sequence<UInt8>) throws(CryptographyError) {
    let raw = Array(rawBytes)
    guard raw.count == Self.byteCount else {
      throw .invalidKey(reason: "an Ed25519 public key has 32 bytes, not \(raw.count)")
    }
    guard let pointer = EVP_PKEY_new_raw_public_key_ex(nil, "ED25519", nil, raw, raw.count) else {
      throw .fromLibrary("EVP_PKEY_new_raw_public_key_ex")
    }
    self.rawBytes = raw
    key = EVPKey(owning: pointer)
  }

  /// Takes an `id`.
  public init(id: some StringProtocol) throws(CryptographyError) {
    guard let raw = Base64URL.decode(id) else {
      throw .invalidKey(reason: "a key id is unpadded Base64URL of 32 bytes")
    }
    try self.init(rawBytes: raw)
  }

  /// Takes a PEM block `PUBLIC KEY`, as `openssl pkey -pubout` prints it.
  public init(pem: String) throws(CryptographyError) {
    let der = try PEM.decode(pem, label: "PUBLIC KEY")
    guard der.starts(with: Self.derPrefix) else { throw .invalidKey(reason: "the PEM block holds no Ed25519 key") }
    try self.init(rawBytes: der.dropFirst(Self.derPrefix.count))
  }

  /// The key's name in signatures and key lists: its raw bytes as Base64URL (43 characters), so a name cannot belong
  /// to two keys.
  public var id: String { Base64URL.encode(rawBytes) }

  /// A PEM block `PUBLIC KEY`, as other tools read it.
  public var pem: String { PEM.encode(Self.derPrefix + rawBytes, label: "PUBLIC KEY") }

  /// Whether `signature` is this key's signature of `message`. A signature that has not 64 bytes is simply not valid.
  public func isValid(signature: some Sequence<UInt8>, for message: some Sequence<UInt8>) -> Bool {
    let signature = Array(signature)
    guard signature.count == Self.signatureByteCount else { return false }
    return withContiguousBytes(message) { key.verify(signature, $0) }
  }

  public var description: String { id }

  public static func == (left: Ed25519PublicKey, right: Ed25519PublicKey) -> Bool { left.rawBytes == right.rawBytes }

  public func hash(into hasher: inout Hasher) { hasher.combine(rawBytes) }
}
