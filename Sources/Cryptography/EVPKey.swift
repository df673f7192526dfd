import COpenSSL

/// Owns one Ed25519 `EVP_PKEY`.
///
/// `@unchecked Sendable`: the key is never changed after it was made, and libcrypto allows concurrent reads of one key
/// (openssl-threads(7)); each operation below makes a context of its own.
final class EVPKey: @unchecked Sendable {
  let pointer: OpaquePointer

  /// Takes ownership.
  init(owning pointer: OpaquePointer) { self.pointer = pointer }

  deinit { EVP_PKEY_free(pointer) }

  /// The raw public key (RFC 8032 §5.1.5).
  func rawPublicKey() throws(CryptographyError) -> [UInt8] {
    try raw("EVP_PKEY_get_raw_public_key") { EVP_PKEY_get_raw_public_key(pointer, $0, $1) }
  }

  /// The raw private key, the seed (RFC 8032 §5.1.5).
  func rawPrivateKey() throws(CryptographyError) -> [UInt8] {
    try raw("EVP_PKEY_get_raw_private_key") { EVP_PKEY_get_raw_private_key(pointer, $0, $1) }
  }

  private func raw(
    _ operation: String, _ call: (UnsafeMutablePointer<UInt8>, UnsafeMutablePointer<Int>) -> Int32
  ) throws(CryptographyError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 32)
    var count = bytes.count
    let status = bytes.withUnsafeMutableBufferPointer { buffer in
      buffer.baseAddress.map { call($0, &count) } ?? 0
    }
    guard status == 1, count == 32 else { throw .fromLibrary(operation) }
    return bytes
  }

  func sign(_ message: UnsafeBufferPointer<UInt8>) throws(CryptographyError) -> [UInt8] {
    guard let context = EVP_MD_CTX_new() else { throw .fromLibrary("EVP_MD_CTX_new") }
    defer { EVP_MD_CTX_free(context) }
    guard EVP_DigestSignInit(context, nil, nil, nil, pointer) == 1 else { throw .fromLibrary("EVP_DigestSignInit") }
    var signature = [UInt8](repeating: 0, count: Ed25519PublicKey.signatureByteCount)
    var count = signature.count
    guard EVP_DigestSign(context, &signature, &count, message.baseAddress, message.count) == 1,
      count == signature.count
    else { throw .fromLibrary("EVP_DigestSign") }
    return signature
  }

  func verify(_ signature: [UInt8], _ message: UnsafeBufferPointer<UInt8>) -> Bool {
    guard let context = EVP_MD_CTX_new() else { return false }
    defer {
      EVP_MD_CTX_free(context)
      ERR_clear_error()
    }
    guard EVP_DigestVerifyInit(context, nil, nil, nil, pointer) == 1 else { return false }
    return EVP_DigestVerify(context, signature, signature.count, message.baseAddress, message.count) == 1
  }
}

/// Calls `body` with the bytes in one piece, without copying when they already are.
func withContiguousBytes<Result, Failure: Error>(
  _ bytes: some Sequence<UInt8>, _ body: (UnsafeBufferPointer<UInt8>) throws(Failure) -> Result
) throws(Failure) -> Result {
  let array = (bytes as? [UInt8]) ?? Array(bytes)
  // `withUnsafeBufferPointer` rethrows untyped errors only, hence the detour over `Result`.
  let outcome = array.withUnsafeBufferPointer { buffer in
    Swift.Result<Result, Failure> { () throws(Failure) in try body(buffer) }
  }
  return try outcome.get()
}
