import Testing
import TestRandomness
import WebSocket

@Suite struct FrameDecoderTests {
  /// The table in `Tests/Corpus/headers.txt` was written from the standards, without looking at the decoder.
  @Test(arguments: [Role.server, .client], [false, true])
  func all65536TwoOctetHeaders(role: Role, compresses: Bool) throws {
    let failures: [String: ProtocolFailure?] = [
      ".": nil, "op": .unknownOpcode, "rsv": .reservedBits, "frag": .fragmentedControlFrame,
      "cont": .unexpectedContinuation, "mask": role == .server ? .unmaskedFrame : .maskedFrame,
      "long": .controlFrameTooLong,
    ]
    let table = try Corpus.lines("headers.txt")
    #expect(table.count == 256)
    var wrong: [String] = []
    for row in table {
      let first = try #require(UInt8(row[0], radix: 16))
      let words = row[1 + (role == .client ? 2 : 0) + (compresses ? 1 : 0)].split(separator: "/").map(String.init)
      let expected = try words.map { try #require(failures[$0]) }
      for second in UInt8.min...UInt8.max {
        let hasRightMask = (second & 0x80 != 0) == (role == .server)
        let (header, outcome) = decode([first, second], role: role, compresses: compresses)
        if outcome != expected[!hasRightMask ? 0 : second & 0x7F <= 125 ? 1 : 2] { wrong.append("\(first) \(second)") }
        // Only an unmasked frame with a short length is whole after two octets.
        let isWhole = outcome == nil && role == .client && second < 126
        if (header != nil) != isWhole { wrong.append("\(first) \(second) header") }
      }
    }
    #expect(wrong.isEmpty, "\(wrong.prefix(10))")
  }

  private func decode(_ octets: [UInt8], role: Role, compresses: Bool) -> (FrameHeader?, ProtocolFailure?) {
    var decoder = FrameDecoder(role: role, allowsCompression: compresses, maximumFrameSize: .max)
    return octets.withUnsafeBytes { raw in
      var input = raw
      do throws(ProtocolFailure) { return (try decoder.nextHeader(&input), nil) } catch { return (nil, error) }
    }
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
