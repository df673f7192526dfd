/// XOR with the masking key (RFC 6455 §5.3), eight octets at a time.
public enum Masking {
  /// Copies `source` to `destination`, which must have room for it, and (un)masks on the way.
  /// `key` must be advanced to the first octet of `source`.
  @inlinable
  public static func copy(
    _ source: UnsafeRawBufferPointer, to destination: UnsafeMutableRawPointer, key: MaskingKey
  ) {
    guard let base = source.baseAddress else { return }
    let word = UInt64(key.value) << 32 | UInt64(key.value)
    let mask = UInt64(littleEndian: word)
    let count = source.count
    var offset = 0
    while offset &+ 8 <= count {
      let value = base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
      destination.storeBytes(of: value ^ mask, toByteOffset: offset, as: UInt64.self)
      offset &+= 8
    }
    while offset < count {
      let octet = UInt8(truncatingIfNeeded: word >> UInt64((offset & 3) &* 8))
      let value = base.load(fromByteOffset: offset, as: UInt8.self)
      destination.storeBytes(of: value ^ octet, toByteOffset: offset, as: UInt8.self)
      offset &+= 1
    }
  }
}
