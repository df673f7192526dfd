/// Writes frames (RFC 6455 §5.2) with lengths minimally encoded.
public enum FrameEncoder {
  /// Octets of a header: 2 to 14.
  public static func headerSize(payloadLength: Int, isMasked: Bool) -> Int {
    (payloadLength < 126 ? 2 : payloadLength <= 0xFFFF ? 4 : 10) + (isMasked ? 4 : 0)
  }

  /// Octets of a frame.
  public static func frameSize(payloadLength: Int, isMasked: Bool) -> Int {
    headerSize(payloadLength: payloadLength, isMasked: isMasked) + payloadLength
  }

  /// Writes the frame to the front of `destination`, which must have room for `frameSize` octets; returns how many
  /// were written. `payload.count` must be `header.payloadLength`.
  @discardableResult
  public static func write(
    _ header: FrameHeader, payload: UnsafeRawBufferPointer, to destination: UnsafeMutableRawBufferPointer
  ) -> Int {
    let headerCount = writeHeader(header, to: destination)
    guard payload.count > 0, let base = destination.baseAddress else { return headerCount }
    precondition(destination.count >= headerCount + payload.count, "the frame does not fit")
    if let key = header.maskingKey {
      Masking.copy(payload, to: base + headerCount, key: key)
    } else {
      UnsafeMutableRawBufferPointer(rebasing: destination[headerCount...]).copyMemory(from: payload)
    }
    return headerCount + payload.count
  }

  private static func writeHeader(_ header: FrameHeader, to destination: UnsafeMutableRawBufferPointer) -> Int {
    let length = header.payloadLength
    let maskBit: UInt8 = header.maskingKey == nil ? 0 : 0x80
    destination[0] = (header.isFinal ? 0x80 : 0) | (header.isCompressed ? 0x40 : 0) | header.opcode.rawValue
    var index = 2
    if length < 126 {
      destination[1] = maskBit | UInt8(length)
    } else {
      let octets = length <= 0xFFFF ? 2 : 8
      destination[1] = maskBit | (octets == 2 ? 126 : 127)
      for shift in stride(from: (octets - 1) * 8, through: 0, by: -8) {
        destination[index] = UInt8(truncatingIfNeeded: length >> shift)
        index += 1
      }
    }
    guard let key = header.maskingKey else { return index }
    for shift in stride(from: 0, to: 32, by: 8) {
      destination[index] = UInt8(truncatingIfNeeded: key.value >> UInt32(shift))
      index += 1
    }
    return index
  }

  /// The frame as a new array.
  public static func encode(_ header: FrameHeader, payload: UnsafeRawBufferPointer) -> [UInt8] {
    let size = frameSize(payloadLength: payload.count, isMasked: header.maskingKey != nil)
    return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      count = write(header, payload: payload, to: UnsafeMutableRawBufferPointer(buffer))
    }
  }
}
