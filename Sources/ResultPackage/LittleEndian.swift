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

/// The fields of a header, one after the other, into memory that is there already: an archive may have a hundred
/// thousand headers.
struct HeaderFields {
  private let memory: UnsafeMutableRawBufferPointer
  private(set) var count = 0

  /// Exactly `count` bytes, which `body` puts.
  static func bytes(_ count: Int, _ body: (inout HeaderFields) -> Void) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      var fields = HeaderFields(memory: UnsafeMutableRawBufferPointer(buffer))
      body(&fields)
      precondition(fields.count == count)
      filled = count
    }
  }

  private init(memory: UnsafeMutableRawBufferPointer) { self.memory = memory }

  mutating func put(_ value: UInt16) {
    memory.storeBytes(of: value.littleEndian, toByteOffset: count, as: UInt16.self)
    count += 2
  }

  mutating func put(_ value: UInt32) {
    memory.storeBytes(of: value.littleEndian, toByteOffset: count, as: UInt32.self)
    count += 4
  }

  mutating func put(_ value: UInt64) {
    memory.storeBytes(of: value.littleEndian, toByteOffset: count, as: UInt64.self)
    count += 8
  }

  mutating func put(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
      UnsafeMutableRawBufferPointer(rebasing: memory[count...]).copyMemory(from: UnsafeRawBufferPointer(bytes))
      count += bytes.count
    }
  }
}
