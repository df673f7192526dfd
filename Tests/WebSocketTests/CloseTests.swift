import Testing
import WebSocket

@Suite struct CloseTests {
  @Test func everyCloseCode() {
    var wrong: [Int] = []
    for value in 0...0xFFFF {
      // RFC 6455 §7.4 and the IANA registry (1012 to 1014).
      let registered: Set = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014]
      let isValid = registered.contains(value) || (3000..<5000).contains(value)
      if CloseCode(UInt16(value)).isSendable != isValid { wrong.append(value) }
      let events = Endpoint(.server).receive(rawFrame(first: 0x88, payload: [UInt8(value >> 8), UInt8(value & 0xFF)]))
      if isValid {
        guard case .close(let status, let reply) = events.first, status.code.rawValue == UInt16(value) else {
          wrong.append(value)
          continue
        }
        if reply != [0x88, 2, UInt8(value >> 8), UInt8(value & 0xFF)] { wrong.append(value) }
      } else if failure(events) != .invalidCloseCode {
        wrong.append(value)
      }
    }
    #expect(wrong.isEmpty, "\(wrong.prefix(10))")
  }

  @Test func anEmptyCloseIsAnsweredWithAnEmptyOne() {
    #expect(Endpoint(.server).receive(rawFrame(first: 0x88)) == [.close(CloseStatus(.noStatus), reply: [0x88, 0])])
  }

  @Test func oneOctetIsTooShort() {
    let events = Endpoint(.server).receive(rawFrame(first: 0x88, payload: [0x03]))
    #expect(failure(events) == .closePayloadTooShort)
  }

  @Test func theReasonMustBeUTF8AndFailsAtTheBadOctet() {
    let frame = rawFrame(first: 0x88, payload: [0x03, 0xE8, 0x61, 0xC0, 0x62, 0x63, 0x64])
    for end in 0..<frame.count {
      let events = Endpoint(.server).receive(Array(frame[...end]))
      // Two octets of header, four of mask, two of code, one good octet: the tenth octet is the bad one.
      #expect((failure(events) == .invalidUTF8) == (end >= 9), "after octet \(end)")
    }
    // Cut inside a character.
    let cut = Endpoint(.server).receive(rawFrame(first: 0x88, payload: [0x03, 0xE8, 0xE2, 0x82]))
    #expect(failure(cut) == .invalidUTF8)
  }

  @Test func theCodeFailsBeforeTheReason() {
    let frame = rawFrame(first: 0x88, payload: [0x03, 0xED, 0x61, 0x62])  // 1005
    #expect(failure(Endpoint(.server).receive(Array(frame.prefix(8)))) == .invalidCloseCode)
  }

  @Test func aReasonOf123BytesFits() {
    let reason = String(repeating: "é", count: 61) + "x"
    let payload = CloseStatus(.normal, reason: reason).payload
    #expect(payload.count == 125)
    let events = Endpoint(.server).receive(rawFrame(first: 0x88, payload: payload))
    guard case .close(let status, _) = events.first else {
      Issue.record("no close: \(events)")
      return
    }
    #expect(status.reason == reason)
  }

  @Test func aLongerReasonIsCutBetweenCharacters() {
    let payload = CloseStatus(.normal, reason: String(repeating: "é", count: 62)).payload
    #expect(payload.count == 124)
    #expect(String(decoding: payload[2...], as: UTF8.self) == String(repeating: "é", count: 61))
  }

  @Test func closingFromThisEnd() throws {
    let client = Endpoint(.client)
    let server = Endpoint(.server)
    let octets = try #require(server.close(CloseStatus(CloseCode(4008), reason: "slow")))
    #expect(server.phase == .closing)
    #expect(server.close(CloseStatus(.normal)) == nil)
    #expect(server.send(.text, [0x61]) == nil)
    #expect(server.ping() == nil)
    let events = client.receive(octets)
    guard case .close(let status, let reply?) = events.first else {
      Issue.record("no close: \(events)")
      return
    }
    #expect(status == CloseStatus(CloseCode(4008), reason: "slow"))
    #expect(client.phase == .closed)
    // A message that was under way is checked and dropped; a ping is answered until the peer's close frame has come.
    let late = rawFrame(first: 0x81, payload: [0x61]) + rawFrame(first: 0x89, payload: [0x62])
    #expect(server.receive(late) == [.ping([0x62], reply: [0x8A, 1, 0x62])])
    #expect(server.receive(reply) == [.close(CloseStatus(CloseCode(4008)), reply: nil)])
    #expect(server.phase == .closed)
  }

  @Test func aCodeThatMayNotBeSentBecomes1000() throws {
    let octets = try #require(Endpoint(.server).close(CloseStatus(.abnormal, reason: "x")))
    #expect(octets == [0x88, 3, 0x03, 0xE8, 0x78])
    #expect(Endpoint(.server).close(CloseStatus(.noStatus)) == [0x88, 0])
  }

  @Test func nothingIsReadAfterTheClose() {
    let server = Endpoint(.server)
    let bytes = rawFrame(first: 0x88) + rawFrame(first: 0x81, payload: [0x61]) + [0xFF, 0xFF]
    #expect(server.receive(bytes).count == 1)
    #expect(server.receive([0xFF]).isEmpty)
  }

  @Test func theNoticeOfAFailureIsAValidCloseFrame() {
    for expected in ProtocolFailure.all {
      #expect(expected.code.isSendable)
      #expect(expected.reason.utf8.count <= CloseStatus.maximumReasonLength)
    }
    let events = Endpoint(.server).receive([0x83])
    guard case .failure(.unknownOpcode, let notice?) = events.first else {
      Issue.record("no failure: \(events)")
      return
    }
    let told = Endpoint(.client).receive(notice)
    guard case .close(let status, _) = told.first else {
      Issue.record("not a close frame: \(told)")
      return
    }
    #expect(status == CloseStatus(.protocolError, reason: ProtocolFailure.unknownOpcode.reason))
  }
}
