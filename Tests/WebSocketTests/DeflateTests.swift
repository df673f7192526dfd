import Testing
import TestRandomness

@testable import WebSocket

@Suite struct DeflateTests {
  private func inflate(
    _ payload: [UInt8], windowBits: Int = 15, limit: Int = .max
  ) throws(ProtocolFailure) -> [UInt8] {
    let endpoint = Endpoint(
      .server, limits: Limits(maximumFrameSize: .max, maximumMessageSize: .max, deflateBomb: limit),
      deflate: DeflateAgreement(clientMaxWindowBits: windowBits))
    switch endpoint.receive(rawFrame(first: 0xC2, payload: payload)).first {
    case .binary(let bytes): return bytes
    case .failure(let failure, _): throw failure
    default: throw .invalidDeflate
    }
  }

  // MARK: The RFC's own examples (RFC 7692 §7.2.3)

  @Test func examplesOfTheRFC() {
    let hello = Array("Hello".utf8)
    let one = rawFrame(first: 0xC1, payload: [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00])
    let again = rawFrame(first: 0xC1, payload: [0xF2, 0x00, 0x11, 0x00, 0x00])
    // §7.2.3.2: the second message refers to the first.
    #expect(Endpoint(.server, deflate: DeflateAgreement()).receive(one + again) == [.text(hello), .text(hello)])
    // Without context it cannot.
    let without = Endpoint(.server, deflate: DeflateAgreement(clientNoContextTakeover: true))
    #expect(failure(without.receive(one + again)) == .invalidDeflate)
    // §7.2.3.1: fragments; §7.2.3.3: no compression; §7.2.3.4: BFINAL; §7.2.3.5: two blocks.
    let examples: [[UInt8]] = [
      rawFrame(first: 0x41, payload: [0xF2, 0x48, 0xCD]) + rawFrame(first: 0x80, payload: [0xC9, 0xC9, 0x07, 0x00]),
      rawFrame(first: 0xC1, payload: [0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00]),
      rawFrame(first: 0xC1, payload: [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00]),
      rawFrame(first: 0xC1, payload: [0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00]),
    ]
    for example in examples {
      for piece in [1, 2, example.count] {
        let events = Endpoint(.server, deflate: DeflateAgreement()).receive(example, cutting: { piece })
        #expect(events == [.text(hello)], "\(example)")
      }
    }
  }

  @Test func historyOutlivesABlockWithBFINAL() {
    let hello = Array("Hello".utf8)
    let final = rawFrame(first: 0xC1, payload: [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00])
    let again = rawFrame(first: 0xC1, payload: [0xF2, 0x00, 0x11, 0x00, 0x00])
    #expect(Endpoint(.server, deflate: DeflateAgreement()).receive(final + again) == [.text(hello), .text(hello)])
  }

  @Test func anEmptyMessage() throws {
    let client = Endpoint(.client, deflate: DeflateAgreement())
    let frame = try #require(client.send(.text, []))
    #expect(Endpoint(.server, deflate: DeflateAgreement()).receive(frame) == [.text([])])
    #expect(
      Endpoint(.server, deflate: DeflateAgreement()).receive(rawFrame(first: 0xC1, payload: [0x00])) == [.text([])])
    #expect(Endpoint(.server, deflate: DeflateAgreement()).receive(rawFrame(first: 0xC1)) == [.text([])])
  }

  // MARK: Round trips

  @Test(arguments: [8, 9, 12, 15], [true, false])
  func roundTrips(windowBits: Int, keepsContext: Bool) throws {
    let seed = UInt64(windowBits * 2 + (keepsContext ? 1 : 0))
    var random = SeededGenerator(seed: seed)
    let agreement = DeflateAgreement(
      serverNoContextTakeover: !keepsContext, clientNoContextTakeover: !keepsContext, serverMaxWindowBits: windowBits,
      clientMaxWindowBits: windowBits)
    let server = Endpoint(.server, deflate: agreement)
    let client = Endpoint(.client, deflate: agreement)
    for _ in 0..<60 {
      let text = Array(random.text(Int.random(in: 0...4_000, using: &random)).utf8)
      #expect(server.receive(try #require(client.send(.text, text))) == [.text(text)], "seed \(seed)")
      let noise = random.bytes(Int.random(in: 0...4_000, using: &random)) + text
      #expect(client.receive(try #require(server.send(.binary, noise))) == [.binary(noise)], "seed \(seed)")
    }
  }

  @Test func repeatedMessagesShrinkWithContext() throws {
    let agreement = DeflateAgreement()
    let server = Endpoint(.server, deflate: agreement)
    var random = SeededGenerator(seed: 3)
    let payload = Array("0123456789abcdef".utf8.map { $0 }) + random.bytes(500)
    let first = try #require(server.send(.binary, payload))
    let second = try #require(server.send(.binary, payload))
    #expect(second.count < first.count / 10)
  }

  /// One connection may get messages that were compressed once for all, between its own.
  @Test func sharedCompressionBetweenOwnMessages() throws {
    let pool = DeflatePool()
    let server = Endpoint(.server, deflate: DeflateAgreement(), pool: pool)
    let client = Endpoint(.client, deflate: DeflateAgreement())
    var random = SeededGenerator(seed: 5)
    for round in 0..<50 {
      let payload = Array(random.text(400).utf8) + Array("always the same end of the message".utf8)
      if Bool.random(using: &random) {
        #expect(server.admitsSharedCompression(payloadLength: payload.count))
        let compressed = try payload.withUnsafeBytes { try pool.compress($0) }
        let frame = rawFrame(first: 0xC2, payload: compressed, mask: nil)
        #expect(client.receive(frame) == [.binary(payload)], "round \(round)")
      } else {
        #expect(client.receive(try #require(server.send(.binary, payload))) == [.binary(payload)], "round \(round)")
      }
    }
  }

  @Test func sharedCompressionMustFitTheWindow() {
    let server = Endpoint(.server, deflate: DeflateAgreement(serverMaxWindowBits: 9))
    #expect(server.admitsSharedCompression(payloadLength: 512))
    #expect(!server.admitsSharedCompression(payloadLength: 513))
    #expect(!Endpoint(.server).admitsSharedCompression(payloadLength: 1))
  }

  @Test func shortAndIncompressibleMessagesGoAsTheyAre() throws {
    var random = SeededGenerator(seed: 8)
    let agreement = DeflateAgreement(serverNoContextTakeover: true)
    let server = Endpoint(.server, deflate: agreement, threshold: 64)
    #expect(try #require(server.send(.binary, [UInt8](repeating: 0, count: 63)))[0] == 0x82)
    #expect(try #require(server.send(.binary, [UInt8](repeating: 0, count: 64)))[0] == 0xC2)
    #expect(try #require(server.send(.binary, random.bytes(64)))[0] == 0x82)
    #expect(try #require(server.send(.binary, [UInt8](repeating: 0, count: 64), compress: false))[0] == 0x82)
  }

  // MARK: Bombs and broken data

  @Test func bombLimitAtAndOnePast() throws {
    let zeros = [UInt8](repeating: 0, count: 1 << 20)
    let compressed = try zeros.withUnsafeBytes { try DeflatePool().compress($0) }
    #expect(compressed.count < 2_000)
    #expect(try inflate(compressed, limit: 1 << 20) == zeros)
    #expect(throws: ProtocolFailure.deflateBomb) { try inflate(compressed, limit: 1 << 20 - 1) }
  }

  @Test func theMessageLimitCountsInflatedOctets() throws {
    let compressed = try [UInt8](repeating: 0, count: 1_000).withUnsafeBytes { try DeflatePool().compress($0) }
    for (limit, isAllowed) in [(1_000, true), (999, false)] {
      let server = Endpoint(
        .server, limits: Limits(maximumMessageSize: limit, deflateBomb: 5_000), deflate: DeflateAgreement())
      let events = server.receive(rawFrame(first: 0xC2, payload: compressed))
      #expect(failure(events) == (isAllowed ? nil : .messageTooLarge))
    }
  }

  @Test func brokenData() throws {
    // A block of the reserved type.
    #expect(throws: ProtocolFailure.invalidDeflate) { try inflate([0xFF, 0xFF, 0xFF]) }
    // A distance beyond the window's beginning.
    #expect(throws: ProtocolFailure.invalidDeflate) { try inflate([0xF2, 0x00, 0x11, 0x00, 0x00]) }
    // Cut anywhere but at its end.
    let whole = try Array("a text that is long enough to be compressed, compressed, compressed".utf8).withUnsafeBytes {
      try DeflatePool().compress($0)
    }
    for end in 1..<whole.count - 1 {
      #expect(throws: ProtocolFailure.invalidDeflate, "cut at \(end)") { try inflate(Array(whole[..<end])) }
    }
  }

  @Test(arguments: [UInt64](1...10))
  func flippedBitsNeverDoHarm(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let whole = try Array(random.text(3_000).utf8).withUnsafeBytes { try DeflatePool().compress($0) }
    for _ in 0..<200 {
      var broken = whole
      let index = Int.random(in: 0..<broken.count, using: &random)
      broken[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      do throws(ProtocolFailure) {
        _ = try inflate(broken, limit: 1 << 16)
      } catch {
        #expect([.invalidDeflate, .deflateBomb].contains(error), "seed \(seed): \(error)")
      }
    }
  }

  @Test func badTextInACompressedMessage() throws {
    let bytes = Array("good ".utf8) + [0xC0, 0x80]
    let compressed = try bytes.withUnsafeBytes { try DeflatePool().compress($0) }
    let server = Endpoint(.server, deflate: DeflateAgreement())
    #expect(failure(server.receive(rawFrame(first: 0xC1, payload: compressed))) == .invalidUTF8)
  }

  @Test func compressionMustBeAgreedOn() {
    #expect(failure(Endpoint(.server).receive([0xC1])) == .reservedBits)
    // And is marked on the first fragment only.
    let continued = rawFrame(first: 0x41, payload: [0xF2, 0x48]) + [0xC0]
    #expect(failure(Endpoint(.server, deflate: DeflateAgreement()).receive(continued)) == .reservedBits)
    // Never on control frames.
    #expect(failure(Endpoint(.server, deflate: DeflateAgreement()).receive([0xC9])) == .reservedBits)
  }

  @Test func anUncompressedMessageBetweenCompressedOnes() throws {
    let server = Endpoint(.server, deflate: DeflateAgreement())
    let client = Endpoint(.client, deflate: DeflateAgreement())
    let text = Array("one message of many, one message of many".utf8)
    for compress in [true, false, true, true, false, true] {
      let frame = try #require(client.send(.text, text, compress: compress))
      #expect(server.receive(frame) == [.text(text)])
    }
  }
}
