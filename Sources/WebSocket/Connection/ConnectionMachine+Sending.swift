extension ConnectionMachine {
  /// Prepares a message: compresses it where that was agreed on and pays, and draws the mask. Nil once closing began.
  /// - Parameters:
  ///   - payload: the whole message; for text it must be valid UTF-8, which is not checked here.
  ///   - compress: false sends it as it is.
  public mutating func prepare(
    _ kind: MessageKind, _ payload: UnsafeRawBufferPointer, compress: Bool = true
  ) -> OutgoingFrame? {
    guard phase == .open else { return nil }
    let compressed = compress && payload.count >= threshold ? self.compress(payload) : nil
    return OutgoingFrame(
      header: FrameHeader(
        opcode: kind.opcode, isCompressed: compressed != nil, payloadLength: compressed?.count ?? payload.count,
        maskingKey: role == .client ? maskingKeys() : nil),
      compressed: compressed)
  }

  /// A message as octets. Nil once closing began.
  public mutating func send(_ kind: MessageKind, _ payload: [UInt8], compress: Bool = true) -> [UInt8]? {
    payload.withUnsafeBytes { bytes in prepare(kind, bytes, compress: compress)?.encoded(bytes) }
  }

  /// Whether a message of this length, compressed without history and with a window of 15 bits, may be sent by this
  /// connection. If so, the connection's own history is dropped, since the peer's now has what ours has not.
  public mutating func admitsSharedCompression(payloadLength: Int) -> Bool {
    guard let direction = deflate?.sending(by: role) else { return false }
    // No match reaches back further than the message's beginning.
    guard direction.windowBits == 15 || payloadLength <= 1 << direction.windowBits else { return false }
    deflaterIsStale = deflater != nil
    return true
  }

  /// Whether this connection takes every message that was compressed without history, whatever its length, and keeps no
  /// history of its own.
  public var sharesCompression: Bool {
    guard let direction = deflate?.sending(by: role) else { return false }
    return !direction.keepsContext && direction.windowBits == 15
  }

  /// A ping as octets. Nil once closing began.
  /// - Parameter payload: at most 125 bytes; the rest is cut off.
  public mutating func ping(_ payload: [UInt8] = []) -> [UInt8]? {
    phase == .open ? encodeControl(.ping, Array(payload.prefix(maximumControlPayload))) : nil
  }

  /// An unsolicited pong as octets (RFC 6455 §5.5.3). Nil once closing began.
  public mutating func pong(_ payload: [UInt8] = []) -> [UInt8]? {
    phase == .open ? encodeControl(.pong, Array(payload.prefix(maximumControlPayload))) : nil
  }

  /// Starts the closing handshake. Nil when it has begun already.
  /// - Parameter status: a code that may not be sent becomes 1000; `noStatus` sends an empty frame. A reason beyond 123
  ///   bytes is cut.
  public mutating func close(_ status: CloseStatus) -> [UInt8]? {
    guard phase == .open else { return nil }
    phase = .closing
    let isSendable = status.code.isSendable || status.code == .noStatus
    return encodeControl(.close, isSendable ? status.payload : CloseStatus(.normal, reason: status.reason).payload)
  }

  func encodeControl(_ opcode: Opcode, _ payload: [UInt8]) -> [UInt8] {
    let header = FrameHeader(
      opcode: opcode, payloadLength: payload.count, maskingKey: role == .client ? maskingKeys() : nil)
    return payload.withUnsafeBytes { FrameEncoder.encode(header, payload: $0) }
  }

  /// The compressed payload, or nil when it is better sent as it is.
  private mutating func compress(_ payload: UnsafeRawBufferPointer) -> [UInt8]? {
    guard let direction = deflate?.sending(by: role) else { return nil }
    do throws(ProtocolFailure) {
      guard direction.keepsContext else {
        let compressed = try pool.deflater(windowBits: direction.windowBits).compress(payload)
        return compressed.count < payload.count ? compressed : nil
      }
      let own: Deflater
      if let deflater {
        own = deflater
        if deflaterIsStale { own.reset() }
      } else {
        own = try Deflater(windowBits: direction.windowBits)
        deflater = own
      }
      deflaterIsStale = false
      // Sent even where it is longer: the history has it now.
      return try own.compress(payload)
    } catch {
      // No memory for zlib: an uncompressed message is always allowed.
      return nil
    }
  }
}
