import CLibdeflate

/// A running CRC-32 (the ZIP one, APPNOTE 4.4.7). libdeflate's takes the processor's carry-less multiplication, some ten
/// times as fast as zlib's tables.
struct Checksum {
  private(set) var value: UInt32 = 0

  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    guard let address = bytes.baseAddress else { return }
    value = libdeflate_crc32(value, address, bytes.count)
  }
}
