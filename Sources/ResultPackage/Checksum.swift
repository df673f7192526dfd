import CZlib

/// A running CRC-32 (the ZIP one, APPNOTE 4.4.7).
struct Checksum {
  private(set) var value: UInt32 = 0

  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    guard let address = bytes.baseAddress else { return }
    value = UInt32(
      truncatingIfNeeded: crc32_z(UInt(value), address.assumingMemoryBound(to: UInt8.self), bytes.count))
  }
}
