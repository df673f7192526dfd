/// Which end of the connection speaks: it decides who masks (RFC 6455 §5.1) and who closes TCP first (§7.1.1).
public enum Role: Sendable, Hashable {
  /// Accepts masked frames only and never masks.
  case server
  /// Masks every frame and accepts unmasked frames only.
  case client
}

/// What a frame carries (RFC 6455 §5.2). The other ten values are reserved and fail the connection.
public enum Opcode: UInt8, Sendable, CaseIterable {
  case continuation = 0x0
  case text = 0x1
  case binary = 0x2
  case close = 0x8
  case ping = 0x9
  case pong = 0xA

  /// Close, ping and pong: at most 125 bytes, never fragmented, allowed between the fragments of a message (§5.5).
  public var isControl: Bool { rawValue & 0x8 != 0 }
}

/// The two kinds of messages.
public enum MessageKind: Sendable, Hashable {
  case text
  case binary

  var opcode: Opcode { self == .text ? .text : .binary }
}

/// The four octets a client XORs its payloads with (RFC 6455 §5.3). The first octet on the wire is the lowest byte.
public struct MaskingKey: Hashable, Sendable {
  public var value: UInt32

  public init(_ value: UInt32) { self.value = value }

  /// The key for the octets that follow `count` masked ones.
  public func advanced(by count: Int) -> MaskingKey {
    let shift = UInt32(truncatingIfNeeded: count & 3) * 8
    return shift == 0 ? self : MaskingKey(value >> shift | value << (32 - shift))
  }
}

/// A frame without its payload (RFC 6455 §5.2).
public struct FrameHeader: Hashable, Sendable {
  /// FIN: the last frame of its message.
  public var isFinal: Bool
  /// RSV1, which permessage-deflate sets on the first frame of a compressed message (RFC 7692 §6).
  public var isCompressed: Bool
  public var opcode: Opcode
  /// In octets, before inflating.
  public var payloadLength: Int
  /// Present exactly when the frame was sent by a client.
  public var maskingKey: MaskingKey?

  public init(
    opcode: Opcode, isFinal: Bool = true, isCompressed: Bool = false, payloadLength: Int, maskingKey: MaskingKey? = nil
  ) {
    self.isFinal = isFinal
    self.isCompressed = isCompressed
    self.opcode = opcode
    self.payloadLength = payloadLength
    self.maskingKey = maskingKey
  }
}

/// A control frame's payload is never longer (RFC 6455 §5.5).
let maximumControlPayload = 125
