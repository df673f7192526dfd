import Testing
import TestRandomness
import WebSocket

@Suite struct MessageTests {
  @Test func controlFramesBetweenFragments() {
    let bytes =
      rawFrame(first: 0x01, payload: Array("Hel".utf8)) + rawFrame(first: 0x89, payload: [1]) + rawFrame(first: 0x8A)
      + rawFrame(first: 0x00, payload: []) + rawFrame(first: 0x80, payload: Array("lo".utf8))
    #expect(
      Endpoint(.server).receive(bytes) == [
        .ping([1], reply: [0x8A, 1, 1]), .pong([]), .text(Array("Hello".utf8)),
      ])
  }

  @Test func aMessageInsideAnother() {
    let bytes = rawFrame(first: 0x01, payload: [0x61]) + [0x81]
    #expect(failure(Endpoint(.server).receive(bytes)) == .messageInterrupted)
  }

  @Test func aContinuationOfNothing() {
    #expect(failure(Endpoint(.server).receive([0x80])) == .unexpectedContinuation)
    let after = rawFrame(first: 0x81, payload: [0x61]) + [0x00]
    #expect(failure(Endpoint(.server).receive(after)) == .unexpectedContinuation)
  }

  @Test func badTextFailsAtItsOctetInsideAFrame() {
    let frame = rawFrame(first: 0x81, payload: Array("κόσμε".utf8) + [0xED, 0xA0, 0x80] + Array("edited".utf8))
    // Header 2, mask 4, text 10: the surrogate's second octet is the eighteenth.
    for end in 0..<frame.count {
      let server = Endpoint(.server)
      let events = server.receive(Array(frame[...end]), cutting: { 1 })
      #expect((failure(events) == .invalidUTF8) == (end >= 17), "after octet \(end)")
    }
  }

  @Test func textCutInsideACharacter() {
    let fragments = rawFrame(first: 0x01, payload: [0xF0, 0x9F]) + rawFrame(first: 0x80, payload: [0xA7, 0xAA])
    #expect(Endpoint(.server).receive(fragments) == [.text([0xF0, 0x9F, 0xA7, 0xAA])])
    #expect(failure(Endpoint(.server).receive(rawFrame(first: 0x81, payload: [0xF0, 0x9F]))) == .invalidUTF8)
  }

  @Test func emptyMessages() {
    let bytes = rawFrame(first: 0x81) + rawFrame(first: 0x82) + rawFrame(first: 0x01) + rawFrame(first: 0x80)
    #expect(Endpoint(.server).receive(bytes) == [.text([]), .binary([]), .text([])])
  }

  // MARK: Limits, at and one past

  @Test func frameLimit() {
    let limits = Limits(maximumFrameSize: 200)
    let at = rawFrame(first: 0x82, payload: [UInt8](repeating: 1, count: 200))
    #expect(Endpoint(.server, limits: limits).receive(at).count == 1)
    let past = rawFrame(first: 0x82, payload: [UInt8](repeating: 1, count: 201))
    #expect(failure(Endpoint(.server, limits: limits).receive(Array(past.prefix(4)))) == .frameTooLarge)
  }

  @Test func messageLimit() {
    let limits = Limits(maximumMessageSize: 10)
    func fragments(_ last: Int) -> [UInt8] {
      rawFrame(first: 0x02, payload: [1, 2, 3, 4, 5])
        + rawFrame(first: 0x80, payload: [UInt8](repeating: 1, count: last))
    }
    #expect(Endpoint(.server, limits: limits).receive(fragments(5)).count == 1)
    // Before the second fragment's body: its header is enough.
    let header = Array(fragments(6).dropLast(6))
    #expect(failure(Endpoint(.server, limits: limits).receive(header)) == .messageTooLarge)
  }

  @Test func fragmentLimit() {
    let limits = Limits(maximumFragments: 4)
    let first = rawFrame(first: 0x02, payload: [1])
    let middle = rawFrame(first: 0x00, payload: [1])
    let last = rawFrame(first: 0x80, payload: [1])
    #expect(Endpoint(.server, limits: limits).receive(first + middle + middle + last).count == 1)
    let past = first + middle + middle + middle + last
    #expect(failure(Endpoint(.server, limits: limits).receive(past)) == .tooManyFragments)
  }

  @Test func controlFrameLimitPerSecond() {
    let limits = Limits(maximumControlFramesPerSecond: 3)
    let ping = rawFrame(first: 0x89)
    let server = Endpoint(.server, limits: limits)
    #expect(server.receive(ping + ping + ping, at: 5_000_000_000).count == 3)
    #expect(server.receive(ping + ping + ping, at: 6_000_000_000).count == 3)
    #expect(failure(server.receive(ping, at: 6_999_999_999)) == .tooManyControlFrames)
  }

  @Test func aPingIsAnsweredWithItsPayload() {
    let payload = (0..<125).map { UInt8($0) }
    let server = Endpoint(.server)
    #expect(server.receive(rawFrame(first: 0x89, payload: payload)) == [.ping(payload, reply: [0x8A, 125] + payload)])
    #expect(server.ping(payload + [1])?.count == 127)
  }

  // MARK: Pieces

  /// A long conversation gives the same events however it is cut.
  @Test(arguments: [UInt64](1...12))
  func anyCutGivesTheSameEvents(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let deflate = seed % 2 == 0 ? DeflateAgreement() : nil
    let client = Endpoint(.client, deflate: deflate)
    var bytes: [UInt8] = []
    for _ in 0..<60 {
      switch Int.random(in: 0..<5, using: &random) {
      case 0: bytes += try #require(client.ping(random.bytes(Int.random(in: 0...125, using: &random))))
      case 1: bytes += try #require(client.send(.binary, random.bytes(Int.random(in: 0...70_000, using: &random))))
      case 2:
        // Fragments, written by hand.
        bytes += rawFrame(first: 0x01, payload: Array("frag".utf8)) + rawFrame(first: 0x89, payload: [7])
        bytes += rawFrame(first: 0x80, payload: Array("ment".utf8))
      default:
        bytes += try #require(client.send(.text, Array(random.text(Int.random(in: 0...300, using: &random)).utf8)))
      }
    }
    bytes += try #require(client.close(CloseStatus(.goingAway, reason: "done")))
    let whole = Verifier(seed: seed) { Endpoint(.server, deflate: deflate, pool: $0) }.verify(bytes).events
    #expect(whole.count > 60 && failure(whole) == nil, "seed \(seed)")
  }

  /// Whatever comes, only documented failures come out, and nothing after one.
  @Test(arguments: [UInt64](1...20))
  func noiseEndsInADocumentedFailure(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    for round in 0..<300 {
      let role: Role = Bool.random(using: &random) ? .server : .client
      let endpoint = Endpoint(role, deflate: Bool.random(using: &random) ? DeflateAgreement() : nil)
      let events = endpoint.receive(random.bytes(Int.random(in: 1...400, using: &random)))
      for (index, event) in events.enumerated() {
        guard case .failure(let failure, _) = event else { continue }
        #expect(ProtocolFailure.all.contains(failure), "seed \(seed), round \(round)")
        #expect(index == events.count - 1, "seed \(seed), round \(round)")
      }
    }
  }

  @Test func clientsMaskEachFrameWithANewKey() throws {
    let client = Endpoint(.client)
    let frames = try (0..<3).map { _ in try #require(client.send(.text, Array("same".utf8))) }
    #expect(Set(frames.map { Array($0[2..<6]) }).count == 3)
    #expect(frames.allSatisfy { $0[1] & 0x80 != 0 })
  }
}
