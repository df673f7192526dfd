/// Reads frame headers from a stream of octets and unmasks payloads. Each rule of RFC 6455 §5 is checked at the octet
/// that breaks it, before any of the payload is taken. It allocates nothing and holds no payload.
public struct FrameDecoder: Sendable {
  private enum State: Sendable {
    case first
    case second(first: UInt8)
    case length(Partial, missing: Int)
    case key(Partial, missing: Int)
    case payload(remaining: Int, key: MaskingKey?)
  }

  /// A header of which the first two octets are known and right.
  private struct Partial: Sendable {
    var first: UInt8
    var extended: Int
    var length: UInt64 = 0
    var key: UInt32 = 0
  }

  private let role: Role
  private let allowsCompression: Bool
  private let maximumFrameSize: Int
  private var state = State.first
  /// A data frame without FIN has been seen and its last fragment not yet.
  private var isInsideMessage = false

  /// - Parameters:
  ///   - role: the role of *this* end.
  ///   - allowsCompression: permessage-deflate was negotiated, so RSV1 may be set on a message's first frame.
  ///   - maximumFrameSize: a longer payload fails with `frameTooLarge` once its length is known.
  public init(role: Role, allowsCompression: Bool = false, maximumFrameSize: Int) {
    self.role = role
    self.allowsCompression = allowsCompression
    self.maximumFrameSize = maximumFrameSize
  }

  /// Octets of the current payload that have not been read; 0 between frames and inside a header.
  public var payloadRemaining: Int {
    if case .payload(let remaining, _) = state { return remaining }
    return 0
  }

  /// Nothing of a frame or of a fragmented message is pending.
  public var isAtBoundary: Bool {
    if case .first = state { return !isInsideMessage }
    return false
  }

  /// Takes octets off the front of `input` until a header is whole; nil when `input` ran out before. Must not be called
  /// while payload remains.
  public mutating func nextHeader(_ input: inout UnsafeRawBufferPointer) throws(ProtocolFailure) -> FrameHeader? {
    var index = 0
    defer { input = UnsafeRawBufferPointer(rebasing: input[index...]) }
    while index < input.count {
      let octet = input[index]
      index += 1
      if let header = try take(octet) { return header }
    }
    return nil
  }

  private mutating func take(_ octet: UInt8) throws(ProtocolFailure) -> FrameHeader? {
    switch state {
    case .first:
      try checkFirst(octet)
      state = .second(first: octet)
    case .second(let first):
      try checkSecond(octet, isControl: first & 0x08 != 0)
      let short = octet & 0x7F
      let partial = Partial(first: first, extended: short < 126 ? 0 : short == 126 ? 2 : 8, length: UInt64(short))
      guard partial.extended > 0 else { return try lengthKnown(partial) }
      state = .length(Partial(first: first, extended: partial.extended), missing: partial.extended)
    case .length(var partial, let missing):
      if missing == 8, octet & 0x80 != 0 { throw .lengthTooLarge }
      partial.length = partial.length << 8 | UInt64(octet)
      guard missing == 1 else {
        state = .length(partial, missing: missing - 1)
        return nil
      }
      return try lengthKnown(partial)
    case .key(var partial, let missing):
      partial.key |= UInt32(octet) << UInt32(8 * (4 - missing))
      guard missing == 1 else {
        state = .key(partial, missing: missing - 1)
        return nil
      }
      return finish(partial, key: MaskingKey(partial.key))
    case .payload:
      preconditionFailure("the payload must be read before the next header")
    }
    return nil
  }

  private func checkFirst(_ octet: UInt8) throws(ProtocolFailure) {
    guard let opcode = Opcode(rawValue: octet & 0x0F) else { throw .unknownOpcode }
    let isFirstOfMessage = opcode == .text || opcode == .binary
    let allowedBits: UInt8 = allowsCompression && isFirstOfMessage ? 0x40 : 0
    guard octet & 0x70 & ~allowedBits == 0 else { throw .reservedBits }
    if opcode.isControl {
      guard octet & 0x80 != 0 else { throw .fragmentedControlFrame }
    } else if isFirstOfMessage {
      guard !isInsideMessage else { throw .messageInterrupted }
    } else {
      guard isInsideMessage else { throw .unexpectedContinuation }
    }
  }

  private func checkSecond(_ octet: UInt8, isControl: Bool) throws(ProtocolFailure) {
    switch role {
    case .server: guard octet & 0x80 != 0 else { throw .unmaskedFrame }
    case .client: guard octet & 0x80 == 0 else { throw .maskedFrame }
    }
    if isControl, Int(octet & 0x7F) > maximumControlPayload { throw .controlFrameTooLong }
  }

  private mutating func lengthKnown(_ partial: Partial) throws(ProtocolFailure) -> FrameHeader? {
    if partial.extended == 2, partial.length < 126 { throw .lengthNotMinimal }
    if partial.extended == 8, partial.length <= 0xFFFF { throw .lengthNotMinimal }
    // Control frames are bounded by the protocol, whatever the limit.
    if partial.first & 0x08 == 0, partial.length > UInt64(maximumFrameSize) { throw .frameTooLarge }
    guard role == .client else {
      state = .key(partial, missing: 4)
      return nil
    }
    return finish(partial, key: nil)
  }

  private mutating func finish(_ partial: Partial, key: MaskingKey?) -> FrameHeader? {
    // checkFirst has passed the opcode.
    guard let opcode = Opcode(rawValue: partial.first & 0x0F) else { return nil }
    let header = FrameHeader(
      opcode: opcode, isFinal: partial.first & 0x80 != 0, isCompressed: partial.first & 0x40 != 0,
      payloadLength: Int(partial.length), maskingKey: key)
    if !opcode.isControl { isInsideMessage = !header.isFinal }
    state = header.payloadLength == 0 ? .first : .payload(remaining: header.payloadLength, key: key)
    return header
  }

  /// Moves payload octets off the front of `input` to `destination`, unmasked; returns how many: the least of what
  /// remains of the frame, what `input` has and what `destination` holds.
  public mutating func readPayload(
    _ input: inout UnsafeRawBufferPointer, into destination: UnsafeMutableRawBufferPointer
  ) -> Int {
    guard case .payload(let remaining, let key) = state else { return 0 }
    let count = min(remaining, input.count, destination.count)
    guard count > 0, let target = destination.baseAddress else { return 0 }
    let source = UnsafeRawBufferPointer(rebasing: input[..<count])
    if let key {
      Masking.copy(source, to: target, key: key)
    } else {
      destination.copyMemory(from: source)
    }
    input = UnsafeRawBufferPointer(rebasing: input[count...])
    state = count == remaining ? .first : .payload(remaining: remaining - count, key: key?.advanced(by: count))
    return count
  }
}
