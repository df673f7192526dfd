/// A WebSocket connection after its handshake (RFC 6455 §5–§8 with RFC 7692): octets in, events and octets out. It does
/// no I/O and reads no clock. Move-only, since compressors hold state that cannot be copied; not thread-safe.
public struct ConnectionMachine: ~Copyable {
  /// Draws a fresh, unpredictable masking key for each frame (RFC 6455 §5.3, §10.3).
  public typealias MaskingKeySource = @Sendable () -> MaskingKey

  public let role: Role
  public let limits: Limits
  public let deflate: DeflateAgreement?
  public internal(set) var phase = Phase.open

  let pool: DeflatePool
  let maskingKeys: MaskingKeySource
  /// Messages with fewer bytes are sent uncompressed.
  public let threshold: Int
  private var decoder: FrameDecoder
  /// The frame whose payload is being read.
  private var frame: FrameHeader?
  private var message: MessageAssembler?
  private var control: [UInt8] = []
  private var close = CloseValidator()
  private var controlRate = ControlRate()
  /// The peer's history, with context takeover.
  private var inflater: Inflater?
  /// Our history, with context takeover.
  var deflater: Deflater?
  /// The peer has seen messages that `deflater` has not, so it must forget before it is used again.
  var deflaterIsStale = false

  /// - Parameters:
  ///   - role: of this end.
  ///   - deflate: the outcome of the handshake.
  ///   - threshold: messages with fewer bytes are sent uncompressed.
  ///   - pool: shared by the connections of a thread.
  ///   - maskingKeys: used by a client only.
  public init(
    role: Role, limits: Limits = Limits(), deflate: DeflateAgreement? = nil, threshold: Int = 64, pool: DeflatePool,
    maskingKeys: @escaping MaskingKeySource
  ) {
    self.role = role
    self.limits = limits
    self.deflate = deflate
    self.threshold = threshold
    self.pool = pool
    self.maskingKeys = maskingKeys
    decoder = FrameDecoder(
      role: role, allowsCompression: deflate != nil, maximumFrameSize: limits.maximumFrameSize)
  }

  /// Reads up to the next event; takes what it read off the front of `input`. Nil: all of `input` is used up. Call it
  /// until then, handling each event before the next call: sending in between is allowed.
  /// - Parameter now: nanoseconds on a clock that never goes back, for the limit on control frames.
  public mutating func next(_ input: inout UnsafeRawBufferPointer, at now: UInt64) -> Event? {
    do throws(ProtocolFailure) {
      return try advance(&input, at: now)
    } catch {
      return fail(error)
    }
  }

  private mutating func advance(
    _ input: inout UnsafeRawBufferPointer, at now: UInt64
  ) throws(ProtocolFailure) -> Event? {
    while phase != .closed {
      let header: FrameHeader
      if let frame {
        header = frame
      } else {
        guard let next = try decoder.nextHeader(&input) else { return nil }
        header = next
        try begin(header, at: now)
        frame = header
      }
      while decoder.payloadRemaining > 0 {
        guard input.count > 0 else { return nil }
        try read(header, &input)
      }
      frame = nil
      if let event = try end(header) { return event }
    }
    input = UnsafeRawBufferPointer(start: nil, count: 0)
    return nil
  }

  // MARK: A frame's beginning, body and end

  private mutating func begin(_ header: FrameHeader, at now: UInt64) throws(ProtocolFailure) {
    switch header.opcode {
    case .text, .binary:
      message = MessageAssembler(
        kind: header.opcode == .text ? .text : .binary, inflater: header.isCompressed ? try borrowInflater() : nil)
      try message?.checkRoom(for: header.payloadLength, limits: limits)
    case .continuation:
      try message?.continued(limits: limits)
      try message?.checkRoom(for: header.payloadLength, limits: limits)
    case .close, .ping, .pong:
      guard controlRate.admit(at: now, limit: limits.maximumControlFramesPerSecond) else {
        throw .tooManyControlFrames
      }
      control = []
    }
  }

  private mutating func read(
    _ header: FrameHeader, _ input: inout UnsafeRawBufferPointer
  ) throws(ProtocolFailure) {
    let length = header.payloadLength
    let isWhole = decoder.payloadRemaining == length && input.count >= length
    if isWhole, header.isFinal, header.opcode != .continuation, !header.opcode.isControl, !header.isCompressed {
      // The common case: one frame, all there. Unmasked straight into the message.
      try message?.adopt(
        [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
          count = decoder.readPayload(&input, into: UnsafeMutableRawBufferPointer(buffer))
        })
      return
    }
    let count = decoder.readPayload(&input, into: pool.inputScratch)
    let octets = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(pool.inputScratch)[..<count])
    guard header.opcode.isControl else {
      try message?.append(octets, scratch: pool.scratch, limits: limits)
      return
    }
    if header.opcode == .close { try close.append(octets) }
    control.append(contentsOf: octets)
  }

  private mutating func end(_ header: FrameHeader) throws(ProtocolFailure) -> Event? {
    switch header.opcode {
    case .text, .binary, .continuation:
      return header.isFinal ? try endMessage() : nil
    case .ping:
      let payload = takeControl()
      // §5.5.2: owed until the peer's close frame has come, also after ours: a pong is no data.
      return .ping(payload, reply: encodeControl(.pong, payload))
    case .pong:
      return .pong(takeControl())
    case .close:
      try close.finish()
      let status = CloseStatus(validated: takeControl())
      let reply = phase == .open ? encodeControl(.close, CloseStatus(status.code).payload) : nil
      finishReading()
      return .close(status, reply: reply)
    }
  }

  private mutating func endMessage() throws(ProtocolFailure) -> Event? {
    try message?.finish(scratch: pool.scratch, limits: limits)
    guard let done = message.take() else { return nil }
    giveBack(done.inflater)
    // After our close frame the messages of the peer no longer matter.
    guard phase == .open else { return nil }
    return done.kind == .text ? .text(done.bytes) : .binary(done.bytes)
  }

  private mutating func takeControl() -> [UInt8] {
    defer { control = [] }
    return control
  }

  // MARK: Inflaters

  private mutating func borrowInflater() throws(ProtocolFailure) -> Inflater? {
    guard let direction = deflate?.receiving(by: role) else { return nil }
    guard direction.keepsContext else { return try pool.borrowInflater() }
    if let inflater { return inflater }
    let fresh = try Inflater()
    inflater = fresh
    return fresh
  }

  private func giveBack(_ used: Inflater?) {
    if let used, used !== inflater { pool.giveBack(used) }
  }

  // MARK: The end

  private mutating func fail(_ failure: ProtocolFailure) -> Event {
    let notice =
      phase == .open
      ? encodeControl(.close, CloseStatus(failure.code, reason: failure.reason).payload) : nil
    finishReading()
    return .failure(failure, notice: notice)
  }

  /// The transport ended, or will: nothing more is read or sent and all memory is given back.
  public mutating func finishReading() {
    phase = .closed
    if let message { giveBack(message.inflater) }
    message = nil
    frame = nil
    control = []
    inflater = nil
    deflater = nil
  }
}
