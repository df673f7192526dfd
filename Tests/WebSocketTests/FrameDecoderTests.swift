import Testing
import WebSocket

@Suite struct FrameDecoderTests {
  /// What RFC 6455 §5.2 says about the first two octets of a connection's first frame, written down again without
  /// looking at the decoder. Nil: the header may go on.
  private func expected(_ first: UInt8, _ second: UInt8, role: Role, compresses: Bool) -> ProtocolFailure? {
    let opcode = Int(first % 16)
    let reserved = (first / 16) % 8
    guard [0, 1, 2, 8, 9, 10].contains(opcode) else { return .unknownOpcode }
    let mayCompress = compresses && (opcode == 1 || opcode == 2)
    if reserved != 0, !(mayCompress && reserved == 4) { return .reservedBits }
    if opcode >= 8, first < 128 { return .fragmentedControlFrame }
    if opcode == 0 { return .unexpectedContinuation }
    if role == .server, second < 128 { return .unmaskedFrame }
    if role == .client, second >= 128 { return .maskedFrame }
    if opcode >= 8, second % 128 > 125 { return .controlFrameTooLong }
    return nil
  }

  @Test(arguments: [Role.server, .client], [false, true])
  func all65536TwoOctetHeaders(role: Role, compresses: Bool) {
    var wrong: [String] = []
    for value in 0...0xFFFF {
      let bytes = [UInt8(value >> 8), UInt8(value & 0xFF)]
      var decoder = FrameDecoder(role: role, allowsCompression: compresses, maximumFrameSize: .max)
      var outcome: ProtocolFailure?
      var header: FrameHeader?
      bytes.withUnsafeBytes { raw in
        var input = raw
        do throws(ProtocolFailure) { header = try decoder.nextHeader(&input) } catch { outcome = error }
      }
      if outcome != expected(bytes[0], bytes[1], role: role, compresses: compresses) { wrong.append("\(value)") }
      // Only an unmasked frame with a short length is whole after two octets.
      let isWhole = outcome == nil && role == .client && bytes[1] < 126
      if (header != nil) != isWhole { wrong.append("\(value) header") }
    }
    #expect(wrong.isEmpty, "\(wrong.prefix(10))")
  }

  @Test(arguments: [0, 1, 125, 126, 127, 65535, 65536, 100_000], [Role.server, .client])
  func lengthsInTheirMinimalForm(length: Int, role: Role) throws {
    let payload = (0..<length).map { UInt8(truncatingIfNeeded: $0) }
    let bytes = rawFrame(first: 0x82, payload: payload, mask: role == .server ? [9, 8, 7, 6] : nil)
    for piece in [bytes.count, 1, 3, 7] {
      var decoder = FrameDecoder(role: role, maximumFrameSize: 1 << 20)
      var header: FrameHeader?
      var body: [UInt8] = []
      var rest = bytes[...]
      while !rest.isEmpty {
        try Array(rest.prefix(piece)).withUnsafeBytes { raw in
          var input = raw
          if header == nil { header = try decoder.nextHeader(&input) }
          while decoder.payloadRemaining > 0, input.count > 0 {
            body += [UInt8](unsafeUninitializedCapacity: 50) { buffer, count in
              count = decoder.readPayload(&input, into: UnsafeMutableRawBufferPointer(buffer))
            }
          }
          #expect(input.count == 0)
        }
        rest = rest.dropFirst(piece)
      }
      #expect(header?.payloadLength == length)
      #expect(header?.opcode == .binary)
      #expect(body == payload)
      #expect(decoder.isAtBoundary)
    }
  }

  @Test(arguments: [(0, 2), (125, 2), (0, 8), (125, 8), (126, 8), (65535, 8)])
  func lengthsThatAreNotMinimal(length: Int, octets: Int) {
    let frame = rawFrame(first: 0x82, payload: [UInt8](repeating: 0, count: length), lengthOctets: octets)
    #expect(failure(Endpoint(.server).receive(frame)) == .lengthNotMinimal)
    // Known at the length's last octet: before the mask and the body.
    #expect(failure(Endpoint(.server).receive(Array(frame.prefix(2 + octets)))) == .lengthNotMinimal)
    #expect(Endpoint(.server).receive(Array(frame.prefix(1 + octets))).isEmpty)
  }

  @Test func topBitOfA64BitLength() {
    #expect(failure(Endpoint(.server).receive([0x82, 0xFF, 0x80])) == .lengthTooLarge)
    #expect(failure(Endpoint(.server).receive([0x82, 0xFF] + [UInt8](repeating: 0xFF, count: 8))) == .lengthTooLarge)
    // Without the top bit it is only too large for us.
    #expect(
      failure(Endpoint(.server).receive([0x82, 0xFF, 0x7F] + [UInt8](repeating: 0xFF, count: 7))) == .frameTooLarge)
  }

  @Test func aMissingMaskIsSeenBeforeTheBody() {
    #expect(failure(Endpoint(.server).receive([0x82, 0x7E])) == .unmaskedFrame)
    #expect(failure(Endpoint(.client).receive([0x82, 0xFE])) == .maskedFrame)
  }

  @Test(arguments: 0..<40)
  func maskingKeyAdvances(count: Int) {
    let bytes: [UInt8] = [0x11, 0x22, 0x33, 0x44]
    let key = MaskingKey(0x4433_2211).advanced(by: count)
    let octets = (0..<4).map { UInt8(truncatingIfNeeded: key.value >> UInt32(8 * $0)) }
    let expected = (0..<4).map { bytes[($0 + count) % 4] }
    #expect(octets == expected)
  }

  @Test func maskingAgreesWithTheDefinition() {
    var random = SeededGenerator(seed: 11)
    for count in 0..<130 {
      let source = random.bytes(count)
      let octets = random.bytes(4)
      let key = MaskingKey(octets.reversed().reduce(0) { $0 << 8 | UInt32($1) })
      var target = [UInt8](repeating: 0, count: count)
      source.withUnsafeBytes { from in
        target.withUnsafeMutableBytes { to in if let base = to.baseAddress { Masking.copy(from, to: base, key: key) } }
      }
      #expect(target == source.enumerated().map { $1 ^ octets[$0 % 4] })
    }
  }

  @Test(arguments: [0, 1, 125, 126, 65535, 65536], [nil, MaskingKey(0x0102_0304)])
  func theEncoderWritesWhatTheRFCSays(length: Int, key: MaskingKey?) {
    let payload = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    let header = FrameHeader(opcode: .text, isFinal: false, isCompressed: true, payloadLength: length, maskingKey: key)
    let frame = payload.withUnsafeBytes { FrameEncoder.encode(header, payload: $0) }
    #expect(frame == rawFrame(first: 0x41, payload: payload, mask: key == nil ? nil : [4, 3, 2, 1]))
    #expect(frame.count == FrameEncoder.frameSize(payloadLength: length, isMasked: key != nil))
  }
}
