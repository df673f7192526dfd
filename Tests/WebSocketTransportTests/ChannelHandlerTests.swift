import NIOCore
import NIOEmbedded
import Testing
import WebSocket

@testable import WebSocketTransport

/// The handler in virtual time.
@Suite struct ChannelHandlerTests {
  private final class Rig {
    let channel = EmbeddedChannel()
    let journal = Journal()
    let connection: WebSocketConnection
    let endpoint: WebSocketEndpoint
    var loop: EmbeddedEventLoop { channel.embeddedEventLoop }

    init(
      role: Role = .server, configuration: WebSocketConfiguration = WebSocketConfiguration(), echoes: Bool = false,
      onQuiesce: @escaping (WebSocketConnection) -> Void = { _ in },
      onText: @escaping (WebSocketConnection) -> Void = { _ in }
    ) throws {
      connection = WebSocketConnection(
        eventLoop: channel.eventLoop, remoteAddress: nil, subprotocol: nil, compression: nil)
      endpoint = WebSocketEndpoint(
        role: role, configuration: Shared(configuration), connection: connection,
        resources: LoopResources(eventLoop: channel.eventLoop),
        session: JournalSession(journal, echoes: echoes, onQuiesce: onQuiesce, onText: onText))
      try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
      try channel.pipeline.syncOperations.addHandler(ChannelCarrier(endpoint))
    }

    func receive(_ bytes: [UInt8]) throws {
      try channel.writeInbound(ByteBuffer(bytes: bytes))
      loop.run()
    }

    /// Everything written since the last call.
    func sent() throws -> [UInt8] {
      loop.run()
      var bytes: [UInt8] = []
      while let buffer = try channel.readOutbound(as: ByteBuffer.self) { bytes += Array(buffer.readableBytesView) }
      return bytes
    }

    func finish() { _ = try? channel.finish(acceptAlreadyClosed: true) }
  }

  // MARK: Keepalive

  @Test(arguments: [Role.server, .client])
  func aSilentPeerIsFoundWithin35Seconds(role: Role) throws {
    let rig = try Rig(role: role)
    rig.loop.advanceTime(by: .milliseconds(24_400))
    #expect(try rig.sent().isEmpty)
    rig.loop.advanceTime(by: .milliseconds(600))
    #expect(try rig.sent().prefix(2) == [0x89, role == .server ? 1 : 0x81])
    rig.loop.advanceTime(by: .seconds(9))
    #expect(rig.journal.closings.isEmpty)
    rig.loop.advanceTime(by: .seconds(1))
    #expect(rig.journal.closings.map(\.cause) == [.keepaliveTimeout])
    #expect(!rig.channel.isActive)
    rig.finish()
  }

  @Test func pongsKeepAConnection() throws {
    let rig = try Rig()
    for number in 1...5 {
      rig.loop.advanceTime(by: .seconds(number == 1 ? 25 : 15))
      #expect(try rig.sent() == [0x89, 1, UInt8(number)])
      rig.loop.advanceTime(by: .seconds(9))
      try rig.receive(clientFrame(0x8A, [UInt8(number)]))
      rig.loop.advanceTime(by: .seconds(1))
    }
    #expect(rig.journal.closings.isEmpty)
    rig.finish()
  }

  /// A network that loses one direction only: the peer speaks, and hears nothing.
  @Test(arguments: [clientFrame(0x89, []), clientFrame(0x8A, []), clientFrame(0x8A, [2]), clientFrame(0x81, [120])])
  func aPeerThatHearsNothingIsFound(frame: [UInt8]) throws {
    let rig = try Rig()
    rig.loop.advanceTime(by: .seconds(25))
    try rig.receive(frame)
    rig.loop.advanceTime(by: .milliseconds(9_400))
    #expect(rig.journal.closings.isEmpty)
    rig.loop.advanceTime(by: .milliseconds(600))
    #expect(rig.journal.closings.map(\.cause) == [.keepaliveTimeout])
    rig.finish()
  }

  /// A slow line: the pong comes after what was sent before it.
  @Test func dataBeforeThePongIsWaitedFor() throws {
    let rig = try Rig()
    rig.loop.advanceTime(by: .seconds(25))
    for _ in 0..<20 {
      rig.loop.advanceTime(by: .seconds(4))
      try rig.receive(clientFrame(0x81, [120]))
    }
    #expect(rig.journal.closings.isEmpty)
    rig.loop.advanceTime(by: .milliseconds(5_600))
    #expect(rig.journal.closings.map(\.cause) == [.keepaliveTimeout])
    rig.finish()
  }

  @Test func aPausedConnectionIsNotTakenForDead() throws {
    let rig = try Rig()
    rig.connection.pauseReading()
    rig.loop.advanceTime(by: .seconds(100))
    #expect(rig.journal.closings.isEmpty)
    rig.connection.resumeReading()
    rig.loop.advanceTime(by: .seconds(60))
    #expect(rig.journal.closings.map(\.cause) == [.keepaliveTimeout])
    rig.finish()
  }

  @Test func keepaliveCanBeOff() throws {
    let rig = try Rig(configuration: WebSocketConfiguration(pingInterval: nil))
    rig.loop.advanceTime(by: .hours(10))
    #expect(try rig.sent().isEmpty)
    #expect(rig.journal.closings.isEmpty)
    rig.finish()
  }

  // MARK: Closing

  @Test func thePeerCloses() throws {
    let rig = try Rig()
    try rig.receive(clientFrame(0x88, [0x03, 0xE9, 0x78]))
    #expect(try rig.sent() == [0x88, 2, 0x03, 0xE9])
    #expect(rig.journal.closings == [WebSocketCloseReason(cause: .peer, code: .goingAway, reason: "x")])
    #expect(!rig.channel.isActive)
    rig.finish()
    #expect(rig.journal.closings.count == 1)
  }

  @Test func thisEndCloses() throws {
    let rig = try Rig()
    rig.connection.send(text: "last")
    rig.connection.close(code: CloseCode(4008), reason: "slow")
    rig.connection.close(code: .normal)
    rig.connection.send(text: "too late")
    #expect(try rig.sent() == [0x81, 4] + Array("last".utf8) + [0x88, 6, 0x0F, 0xA8] + Array("slow".utf8))
    try rig.receive(clientFrame(0x81, [0x61]) + clientFrame(0x88, [0x0F, 0xA8]))
    #expect(rig.journal.closings == [WebSocketCloseReason(cause: .local, code: CloseCode(4008), reason: "slow")])
    #expect(!rig.journal.entries.contains(.text("a")))
    #expect(!rig.channel.isActive)
    rig.finish()
  }

  @Test func aPeerThatDoesNotAnswerTheClose() throws {
    let rig = try Rig()
    rig.connection.close(code: .normal)
    rig.loop.advanceTime(by: .milliseconds(4_400))
    #expect(rig.journal.closings.isEmpty)
    rig.loop.advanceTime(by: .milliseconds(600))
    #expect(rig.journal.closings.map(\.cause) == [.closeTimeout])
    #expect(!rig.channel.isActive)
    rig.finish()
  }

  @Test func aClientLeavesClosingTCPToTheServer() throws {
    let rig = try Rig(role: .client)
    try rig.receive([0x88, 2, 0x03, 0xE8])
    #expect(rig.journal.closings.map(\.cause) == [.peer])
    #expect(rig.channel.isActive)
    rig.loop.advanceTime(by: .seconds(5))
    #expect(!rig.channel.isActive)
    rig.finish()
  }

  @Test func aFailureIsToldAndTheRestDiscarded() throws {
    let rig = try Rig(echoes: true)
    try rig.receive(clientFrame(0x81, [0x61]) + [0x83, 0x80] + clientFrame(0x81, [0x62]))
    // The echo of what came before goes out before the notice.
    let sent = try rig.sent()
    #expect(sent.starts(with: [0x81, 1, 0x61, 0x88]))
    #expect(rig.journal.closings.map(\.code) == [.protocolError])
    #expect(!rig.journal.entries.contains(.text("b")))
    try rig.receive(clientFrame(0x81, [0x63]))
    #expect(try rig.sent().isEmpty)
    rig.loop.advanceTime(by: .seconds(2))
    #expect(!rig.channel.isActive)
    rig.finish()
    #expect(rig.journal.closings.count == 1)
  }

  @Test func theEndOfTCPWithoutAClose() throws {
    let rig = try Rig()
    rig.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    #expect(rig.journal.closings == [WebSocketCloseReason(cause: .connectionLost, code: .abnormal)])
    rig.loop.run()
    #expect(!rig.channel.isActive)
    rig.connection.send(text: "nobody")
    rig.finish()
    #expect(rig.journal.closings.count == 1)
  }

  @Test func errorsOfTheChannel() throws {
    struct Broken: Error {}
    let rig = try Rig()
    rig.channel.pipeline.fireErrorCaught(Broken())
    #expect(rig.journal.closings.map(\.cause) == [.connectionLost])
    #expect(rig.journal.closings.first?.reason.contains("Broken") == true)
    rig.finish()
    #expect(rig.journal.closings.count == 1)
  }

  // MARK: Stopping

  @Test func quiescingClosesWith1001() throws {
    let rig = try Rig()
    rig.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
    #expect(rig.journal.entries.contains(.quiescing))
    #expect(try rig.sent().starts(with: [0x88, 2 + 22, 0x03, 0xE9]))
    rig.finish()
  }

  @Test func aSessionMayChooseItsOwnCode() throws {
    let rig = try Rig(onQuiesce: { $0.close(code: .serviceRestart, reason: "back in 3") })
    rig.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
    #expect(try rig.sent() == [0x88, 11, 0x03, 0xF4] + Array("back in 3".utf8))
    rig.finish()
  }

  // MARK: Reading and writing

  @Test func pausingStopsBetweenTwoMessages() throws {
    let rig = try Rig(onText: { $0.pauseReading() })
    try rig.receive(clientFrame(0x81, [0x61]) + clientFrame(0x81, [0x62]) + clientFrame(0x81, [0x63]))
    try rig.receive(clientFrame(0x81, [0x64]))
    let texts = { rig.journal.entries.filter { if case .text = $0 { true } else { false } } }
    #expect(texts() == [.text("a")])
    for expected in 2...4 {
      rig.connection.resumeReading()
      #expect(texts().count == expected)
    }
    #expect(texts() == [.text("a"), .text("b"), .text("c"), .text("d")])
    rig.finish()
  }

  @Test func whatWasHeldStillCountsAtTheEnd() throws {
    let rig = try Rig(onText: { $0.pauseReading() })
    try rig.receive(clientFrame(0x81, [0x61]) + clientFrame(0x81, [0x62]) + clientFrame(0x88))
    #expect(rig.journal.closings.isEmpty)
    rig.finish()
    #expect(rig.journal.entries.contains(.text("b")))
    #expect(rig.journal.closings.count == 1)
  }

  @Test func watermarks() throws {
    let rig = try Rig(configuration: WebSocketConfiguration(highWatermark: 100, lowWatermark: 10))
    rig.connection.send(binary: ByteBuffer(repeating: 0, count: 97))
    #expect(rig.connection.isWritable)
    #expect(rig.connection.bufferedBytes == 99)
    rig.connection.send(binary: ByteBuffer())
    #expect(!rig.connection.isWritable)
    #expect(rig.journal.entries.last == .writable(false))
    rig.loop.run()
    #expect(rig.connection.isWritable)
    #expect(rig.connection.bufferedBytes == 0)
    #expect(rig.journal.entries.last == .writable(true))
    rig.finish()
  }

  @Test func outboundLimitAtAndOnePast() throws {
    let configuration = WebSocketConfiguration(maximumBufferedBytes: 100)
    let rig = try Rig(configuration: configuration)
    rig.connection.send(binary: ByteBuffer(repeating: 0, count: 98))
    #expect(rig.journal.closings.isEmpty)
    rig.connection.send(binary: ByteBuffer())
    #expect(rig.journal.closings.map(\.cause) == [.outboundLimit])
    rig.finish()
  }

  @Test func pingsAreAnswered() throws {
    let rig = try Rig()
    try rig.receive(clientFrame(0x89, [7, 8]))
    #expect(try rig.sent() == [0x8A, 2, 7, 8])
    rig.connection.ping([1])
    #expect(try rig.sent() == [0x89, 1, 1])
    rig.finish()
  }

  @Test func clientsMaskSharedFramesToo() throws {
    let rig = try Rig(role: .client)
    rig.connection.send(EncodedFrame(joining: [.text("a"), .binary(ByteBuffer(bytes: [1, 2]))]))
    let sent = try rig.sent()
    #expect(sent.count == 7 + 8)
    #expect(sent[0] == 0x81 && sent[1] == 0x81)
    #expect(sent[7] == 0x82 && sent[8] == 0x82)
    rig.finish()
  }
}
