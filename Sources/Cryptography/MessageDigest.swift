import COpenSSL

/// One hash algorithm of libcrypto, fetched once: OpenSSL 3 looks an algorithm up by name at each implicit fetch,
/// which costs more than hashing a short message.
struct DigestAlgorithm: Sendable {
  static let sha256 = DigestAlgorithm("SHA256")
  static let sha1 = DigestAlgorithm("SHA1")

  let name: String
  /// Immutable and reference-counted after the fetch (EVP_MD_fetch(3)), hence safe to share between threads.
  nonisolated(unsafe) let method: OpaquePointer?

  private init(_ name: String) {
    self.name = name
    method = EVP_MD_fetch(nil, name, nil)
  }
}

/// A reusable hashing context. Not for use by two threads at once.
final class MessageDigest {
  private let algorithm: DigestAlgorithm
  private let context: OpaquePointer

  init(_ algorithm: DigestAlgorithm) {
    guard let context = EVP_MD_CTX_new() else { Self.stop("EVP_MD_CTX_new") }
    self.algorithm = algorithm
    self.context = context
    start()
  }

  deinit { EVP_MD_CTX_free(context) }

  private func start() {
    guard EVP_DigestInit_ex(context, algorithm.method, nil) == 1 else { Self.stop("EVP_DigestInit_ex") }
  }

  func update(_ buffer: UnsafeRawBufferPointer) {
    guard !buffer.isEmpty else { return }
    guard EVP_DigestUpdate(context, buffer.baseAddress, buffer.count) == 1 else { Self.stop("EVP_DigestUpdate") }
  }

  func update(_ bytes: some Sequence<UInt8>) {
    if bytes.withContiguousStorageIfAvailable({ update(UnsafeRawBufferPointer($0)) }) != nil { return }
    var chunk: [UInt8] = []
    chunk.reserveCapacity(4096)
    for byte in bytes {
      chunk.append(byte)
      if chunk.count == 4096 {
        chunk.withUnsafeBytes { update($0) }
        chunk.removeAll(keepingCapacity: true)
      }
    }
    chunk.withUnsafeBytes { update($0) }
  }

  /// An independent context in the same state.
  func copy() -> MessageDigest {
    let copy = MessageDigest(algorithm)
    guard EVP_MD_CTX_copy_ex(copy.context, context) == 1 else { Self.stop("EVP_MD_CTX_copy_ex") }
    return copy
  }

  /// Hands the digest to `body` and starts anew.
  func finalize<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    let result = withUnsafeTemporaryAllocation(byteCount: Int(EVP_MAX_MD_SIZE), alignment: 8) { buffer in
      var count: UInt32 = 0
      guard EVP_DigestFinal_ex(context, buffer.baseAddress, &count) == 1 else { Self.stop("EVP_DigestFinal_ex") }
      return body(UnsafeRawBufferPointer(rebasing: buffer[..<Int(count)]))
    }
    start()
    return result
  }

  /// Hashing fails only when memory is gone or libcrypto lacks the algorithm, which `checkCryptography()` reports at
  /// start-up as an error. Afterwards going on would mean giving out a wrong digest, so the process ends.
  private static func stop(_ operation: String) -> Never {
    preconditionFailure("\(CryptographyError.fromLibrary(operation))")
  }
}

/// Tells whether libcrypto has all that this module needs. Call it once at start-up: a restricted or broken
/// installation then gives a clear error instead of failing at the first digest.
public func checkCryptography() throws(CryptographyError) {
  for algorithm in [DigestAlgorithm.sha256, .sha1] where algorithm.method == nil {
    throw .fromLibrary("EVP_MD_fetch(\(algorithm.name))")
  }
  let key = try Ed25519PrivateKey.generate()
  guard key.publicKey.isValid(signature: try key.sign([]), for: []) else {
    throw .library(operation: "Ed25519", message: "its own signature does not verify")
  }
}
