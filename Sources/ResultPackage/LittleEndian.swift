extension [UInt8] {
  /// Appends an integer as ZIP keeps it: little-endian.
  mutating func append<Integer: FixedWidthInteger>(littleEndian value: Integer) {
    Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
  }

  /// The integer at `offset`, which must lie inside.
  func littleEndian<Integer: FixedWidthInteger>(at offset: Int, as type: Integer.Type = Integer.self) -> Integer {
    precondition(offset >= 0 && offset + MemoryLayout<Integer>.size <= count)
    return withUnsafeBytes { Integer(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: Integer.self)) }
  }
}
