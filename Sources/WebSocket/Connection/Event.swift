/// What the octets of the peer amount to. Where an event brings octets to send, they go out after everything that was
/// sent before and before anything that is sent later.
public enum Event: Sendable, Equatable {
  /// A whole text message; valid UTF-8.
  case text([UInt8])
  /// A whole binary message.
  case binary([UInt8])
  /// A ping, with the pong to send.
  case ping([UInt8], reply: [UInt8])
  case pong([UInt8])
  /// The peer's close frame, with the one to send back unless ours went first. The closing handshake is over: a server
  /// closes TCP once the reply is out, a client waits for the server to do so (RFC 6455 §7.1.1).
  case close(CloseStatus, reply: [UInt8]?)
  /// The peer broke the protocol or a limit; nothing more is read. Send the notice (nil when a close frame was sent
  /// before), shut down sending, discard what arrives until the peer closes or a short time has passed, then close.
  case failure(ProtocolFailure, notice: [UInt8]?)
}

/// Where a connection stands between its opening and its closing handshake.
public enum Phase: Sendable, Hashable {
  case open
  /// Our close frame is out, the peer's has not come. Messages that arrive are checked and dropped.
  case closing
  /// Nothing more is read or sent.
  case closed
}

/// A message that is ready to be framed: its header and, where it was compressed, its payload.
public struct OutgoingFrame: Sendable {
  let header: FrameHeader
  let compressed: [UInt8]?

  /// Octets on the wire.
  public var size: Int {
    FrameEncoder.frameSize(payloadLength: header.payloadLength, isMasked: header.maskingKey != nil)
  }

  /// Writes the frame to `destination`, which must have room for `size` octets.
  /// - Parameter payload: what the frame was made from.
  @discardableResult
  public func write(_ payload: UnsafeRawBufferPointer, to destination: UnsafeMutableRawBufferPointer) -> Int {
    guard let compressed else { return FrameEncoder.write(header, payload: payload, to: destination) }
    return compressed.withUnsafeBytes { FrameEncoder.write(header, payload: $0, to: destination) }
  }

  func encoded(_ payload: UnsafeRawBufferPointer) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      count = write(payload, to: UnsafeMutableRawBufferPointer(buffer))
    }
  }
}
