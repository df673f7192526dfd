import COpenSSL

/// Random numbers nobody can predict, from libcrypto's generator (RAND_bytes(3)).
public struct SecureRandom: RandomNumberGenerator, Sendable {
  public init() {}

  public mutating func next() -> UInt64 {
    var value: UInt64 = 0
    let filled = withUnsafeMutableBytes(of: &value) { RAND_bytes($0.baseAddress, Int32($0.count)) == 1 }
    if filled { return value }
    ERR_clear_error()
    // libcrypto's generator is broken (it could not be seeded): the kernel's is as good, only slower.
    var kernel = SystemRandomNumberGenerator()
    return kernel.next()
  }

  /// `count` random bytes.
  public static func bytes(_ count: Int) -> [UInt8] {
    guard count > 0 else { return [] }
    return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      if count <= Int(Int32.max), RAND_bytes(buffer.baseAddress, Int32(count)) == 1 {
        initialized = count
        return
      }
      ERR_clear_error()
      var generator = SecureRandom()
      for index in 0..<count { buffer[index] = generator.next() }
      initialized = count
    }
  }
}

/// A new secret: `prefix` and then `bytes` random bytes as Base64URL. 32 bytes, the default, are the 256 bits of API
/// keys, lease tokens and share tokens.
public func secureToken(prefix: String, bytes: Int = 32) -> String {
  prefix + Base64URL.encode(SecureRandom.bytes(bytes))
}

/// Compares secrets in a time that depends on their lengths only, never on where they differ.
public func constantTimeEquals(_ left: [UInt8], _ right: [UInt8]) -> Bool {
  guard left.count == right.count else { return false }
  return left.withUnsafeBytes { leftBytes in
    right.withUnsafeBytes { rightBytes in
      guard let first = leftBytes.baseAddress, let second = rightBytes.baseAddress else { return true }
      return CRYPTO_memcmp(first, second, leftBytes.count) == 0
    }
  }
}

/// Compares secret texts in a time that depends on their lengths only. Compares bytes, not Unicode equivalence.
public func constantTimeEquals(_ left: String, _ right: String) -> Bool {
  constantTimeEquals(Array(left.utf8), Array(right.utf8))
}
