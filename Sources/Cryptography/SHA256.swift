/// A streaming SHA-256 hasher (FIPS 180-4) on libcrypto, which uses the processor's SHA instructions.
///
/// Feed it with `update` and take the digest with `finalize`, which also starts it anew, so one hasher serves many
/// messages without allocating. It is a reference and not for use by two threads at once.
public final class SHA256 {
  private let digest = MessageDigest(.sha256)

  public init() {}

  /// Adds bytes to the message.
  public func update(_ buffer: UnsafeRawBufferPointer) { digest.update(buffer) }

  /// Adds bytes to the message; contiguous storage is hashed in place.
  public func update(_ bytes: some Sequence<UInt8>) { digest.update(bytes) }

  /// The digest of everything added since `init` or the last `finalize`; the hasher is then empty again.
  public func finalize() -> SHA256Digest { Self.digest(of: digest) }

  private static func digest(of digest: MessageDigest) -> SHA256Digest {
    digest.finalize { bytes in
      guard let address = bytes.baseAddress, bytes.count == SHA256Digest.byteCount else {
        preconditionFailure("libcrypto: SHA-256 gave \(bytes.count) bytes")
      }
      return SHA256Digest(uncheckedBytes: address)
    }
  }

  /// The digest of everything added so far; the hasher goes on as if it had not been asked.
  public func digestSoFar() -> SHA256Digest { Self.digest(of: digest.copy()) }

  /// The digest of one message in memory; also for text: `SHA256.hash(text.utf8)`.
  public static func hash(_ bytes: some Sequence<UInt8>) -> SHA256Digest {
    let hasher = SHA256()
    hasher.update(bytes)
    return hasher.finalize()
  }

  /// The digest of one message in memory.
  public static func hash(_ buffer: UnsafeRawBufferPointer) -> SHA256Digest {
    let hasher = SHA256()
    hasher.update(buffer)
    return hasher.finalize()
  }
}
