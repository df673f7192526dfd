import COpenSSL

/// An Ed25519 private key (RFC 8032). Its text form tells nothing of the secret.
public struct Ed25519PrivateKey: Sendable, CustomStringConvertible {
  /// A raw key's (seed's) length in bytes.
  public static let byteCount = 32

  /// DER of `OneAsymmetricKey` version 1 before the seed (RFC 8410 §7).
  private static let derPrefix: [UInt8] = [
    0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
  ]

  /// The key others check signatures with.
  public let publicKey: Ed25519PublicKey
  private let key: EVPKey

  private init(key: EVPKey) throws(CryptographyError) {
    self.key = key
    publicKey = try Ed25519PublicKey(rawBytes: key.rawPublicKey())
  }

  /// Takes the 32 bytes of the seed.
  public init(rawBytes: some Sequence<UInt8>) throws(CryptographyError) {
    let raw = Array(rawBytes)
    guard raw.count == Self.byteCount else {
      throw .invalidKey(reason: "an Ed25519 private key has 32 bytes, not \(raw.count)")
    }
    guard let pointer = EVP_PKEY_new_raw_private_key_ex(nil, "ED25519", nil, raw, raw.count) else {
      throw .fromLibrary("EVP_PKEY_new_raw_private_key_ex")
    }
    try self.init(key: EVPKey(owning: pointer))
  }

  /// Takes an unencrypted PEM block `PRIVATE KEY` (PKCS #8), as `openssl genpkey -algorithm ed25519` writes it.
  public init(pem: String) throws(CryptographyError) {
    let der = try PEM.decode(pem, label: "PRIVATE KEY")
    let decoded: OpaquePointer? = der.withUnsafeBufferPointer { buffer in
      var cursor = buffer.baseAddress
      return d2i_AutoPrivateKey(nil, &cursor, buffer.count)
    }
    guard let pointer = decoded else {
      ERR_clear_error()
      throw .invalidKey(reason: "the PEM block holds no private key")
    }
    let key = EVPKey(owning: pointer)
    guard aitbc_pkey_is_ed25519(pointer) == 1 else { throw .invalidKey(reason: "the PEM block holds no Ed25519 key") }
    try self.init(key: key)
  }

  /// A new key from libcrypto's generator.
  public static func generate() throws(CryptographyError) -> Ed25519PrivateKey {
    try Ed25519PrivateKey(rawBytes: SecureRandom.bytes(byteCount))
  }

  /// The 32 bytes of the seed: secret.
  public func rawBytes() throws(CryptographyError) -> [UInt8] { try key.rawPrivateKey() }

  /// An unencrypted PEM block `PRIVATE KEY`: secret.
  public func pem() throws(CryptographyError) -> String {
    PEM.encode(Self.derPrefix + (try rawBytes()), label: "PRIVATE KEY")
  }

  /// The 64 bytes of the signature of `message` (pure Ed25519: deterministic, no context).
  public func sign(_ message: some Sequence<UInt8>) throws(CryptographyError) -> [UInt8] {
    try withContiguousBytes(message) { (buffer) throws(CryptographyError) in try key.sign(buffer) }
  }

  public var description: String { "private key of \(publicKey.id)" }
}
