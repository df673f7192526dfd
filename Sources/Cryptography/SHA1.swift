/// SHA-1 (FIPS 180-4), only for `Sec-WebSocket-Accept` (RFC 6455 §4.2.2), where it is no security measure. SHA-1 is
/// broken: nothing else may use it.
public enum SHA1 {
  /// The 20 bytes of the digest.
  public static func hash(_ bytes: some Sequence<UInt8>) -> [UInt8] {
    let digest = MessageDigest(.sha1)
    digest.update(bytes)
    return digest.finalize { Array($0) }
  }
}
