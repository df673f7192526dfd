import NIOCore
import NIOHTTP1
import Testing
import WebSocket

@testable import WebSocketTransport

/// The server's side with real sockets and a peer that says exactly what the test wants.
@Suite(.timeLimit(.minutes(2))) struct ServerTests {
  @Test func framesRightBehindTheRequestAreNotLost() async throws {
    let journal = Journal()
    try await withServer(session: { JournalSession(journal, echoes: true) }) { server in
      let peer = try await RawPeer.connect(port: server.port)
      try await peer.send(Array(upgradeRequest.utf8) + clientFrame(0x81, [0x68, 0x69]) + clientFrame(0x89, [7]))
      #expect(await peer.readHead().hasPrefix("HTTP/1.1 101 "))
      #expect(await peer.read(7) == [0x81, 2, 0x68, 0x69, 0x8A, 1, 7])
      try await peer.channel.close()
    }
  }

  @Test func framesBehindARequestThatWaitsForItsAdmission() async throws {
    let journal = Journal()
    try await withServer(admit: { _, channel in
      // Answers later, in another turn of the loop.
      channel.eventLoop.scheduleTask(in: .milliseconds(20)) {
        WebSocketAdmission.accept(session: { JournalSession(journal, echoes: true) }, headers: ["X-Extra": "1"])
      }.futureResult
    }) { server in
      let peer = try await RawPeer.connect(port: server.port)
      try await peer.send(Array(upgradeRequest.utf8) + clientFrame(0x81, [0x61]))
      try await peer.send(clientFrame(0x81, [0x62]))
      #expect(await peer.readHead().contains("X-Extra: 1\r\n"))
      #expect(await peer.read(6) == [0x81, 1, 0x61, 0x81, 1, 0x62])
      try await peer.channel.close()
    }
  }

  @Test func theRequestInPieces() async throws {
    let journal = Journal()
    try await withServer(session: { JournalSession(journal, echoes: true) }) { server in
      let peer = try await RawPeer.connect(port: server.port)
      for byte in Array(upgradeRequest.utf8) + clientFrame(0x81, [0x61]) { try await peer.send([byte]) }
      #expect(await peer.readHead().contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
      #expect(await peer.read(3) == [0x81, 1, 0x61])
      try await peer.channel.close()
    }
  }

  @Test func aPeerThatOnlyShutsDownItsSendingSide() async throws {
    let journal = Journal()
    try await withServer(session: { JournalSession(journal) }) { server in
      let peer = try await RawPeer.connect(port: server.port)
      try await peer.send(upgradeRequest)
      _ = await peer.readHead()
      try await peer.closeOutput()
      #expect(try await journal.closed().cause == .connectionLost)
      // The server's end is closed too: nothing lingers.
      #expect(await peer.readToEnd().isEmpty)
      try await peer.channel.close()
    }
  }

  @Test func stoppingAsksEveryConnection() async throws {
    let journals = (0..<3).map { _ in Journal() }
    let server = try await WebSocketServer.bind(port: 0, eventLoopGroup: loops, session: { JournalSession(Journal()) })
    var connections: [WebSocketConnection] = []
    for journal in journals {
      connections.append(
        try await WebSocketClient.connect(
          url: "ws://127.0.0.1:\(server.port)/", eventLoopGroup: loops, session: { JournalSession(journal) }))
    }
    // One that never sent a request must not hold the server up.
    let idle = try await RawPeer.connect(port: server.port)
    await server.shutdown()
    for journal in journals { #expect(try await journal.closed().code == .goingAway) }
    #expect(await idle.readToEnd().isEmpty)
    try await idle.channel.close()
  }

  @Test(arguments: [
    ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 426), (upgradeRequest.replacing("13", with: "8"), 426),
    (upgradeRequest.replacing("Connection: Upgrade", with: "Connection: close"), 400),
    (upgradeRequest.replacing("dGhl", with: ""), 400),
    (upgradeRequest.replacing("\r\n\r\n", with: "\r\nOrigin: http://evil.example\r\n\r\n"), 403),
  ])
  func refusals(request: String, status: Int) async throws {
    try await withServer(
      origins: .sameHost(also: []), admit: { $1.eventLoop.makeSucceededFuture(.accept(session: { JournalSession(Journal()) })) }
    ) { server in
      let peer = try await RawPeer.connect(port: server.port)
      try await peer.send(request)
      let head = await peer.readHead()
      #expect(head.hasPrefix("HTTP/1.1 \(status) "))
      #expect(head.contains("application/problem+json"))
      #expect(head.contains("Sec-WebSocket-Version: 13") == (status == 426))
      #expect(String(decoding: await peer.readToEnd(), as: UTF8.self).contains("\"status\":\(status)"))
      try await peer.channel.close()
    }
  }

  @Test func aFailureClosesInOrder() async throws {
    let journal = Journal()
    try await withServer(session: { JournalSession(journal, echoes: true) }) { server in
      let peer = try await RawPeer.connect(port: server.port)
      try await peer.send(upgradeRequest)
      _ = await peer.readHead()
      // A good message, a bad frame, and much behind it that nobody will read.
      try await peer.send(
        clientFrame(0x81, [0x61]) + [0xF1, 0x80] + [UInt8](repeating: 0, count: 200_000))
      let answer = await peer.readToEnd()
      #expect(answer.starts(with: [0x81, 1, 0x61, 0x88]))
      #expect(Array(answer.dropFirst(5).prefix(2)) == [0x03, 0xEA])
      #expect(try await journal.closed().cause == .protocolFailure)
      try await peer.channel.close()
    }
  }

  @Test func aPeerThatDoesNotReadIsHeldBackAndLosesNothing() async throws {
    let journal = Journal()
    let configuration = WebSocketConfiguration(compression: nil, maximumBufferedBytes: 256 << 20)
    try await withServer(configuration: configuration, session: { JournalSession(journal) }) { server in
      let peer = try await RawPeer.connect(port: server.port, autoRead: false)
      try await peer.send(upgradeRequest)
      try await journal.first { $0 == .connected }
      let connection = try #require(journal.connection)
      // 20 MB in frames of different sizes, each with its number: far more than the kernel holds.
      var expected: [UInt8] = []
      for number in 0..<2_000 {
        let payload = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 100 + (number * 37) % 20_000)
        let frame = EncodedFrame.binary(ByteBuffer(bytes: payload))
        expected += payload.count < 126
          ? [0x82, UInt8(payload.count)] : [0x82, 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
        expected += payload
        if number % 2 == 0 { connection.send(frame) } else { connection.send(binary: ByteBuffer(bytes: payload)) }
        // Several turns of the loop, so that direct writes, short ones and the queue all occur.
        if number % 50 == 0 { try await connection.eventLoop.submit {}.get() }
      }
      try await journal.first { $0 == .writable(false) }
      #expect(connection.bufferedBytes > 1 << 20)
      try await peer.channel.setOption(.autoRead, value: true).get()
      let head = await peer.readHead()
      #expect(head.hasPrefix("HTTP/1.1 101 "))
      let received = await peer.read(expected.count)
      #expect(received == expected)
      try await journal.first { $0 == .writable(true) }
      #expect(connection.isWritable)
      try await peer.channel.close()
    }
  }

  @Test func aPeerThatNeverReadsIsDroppedAtTheLimit() async throws {
    let journal = Journal()
    let configuration = WebSocketConfiguration(maximumBufferedBytes: 8 << 20)
    try await withServer(configuration: configuration, session: { JournalSession(journal) }) { server in
      let peer = try await RawPeer.connect(port: server.port, autoRead: false)
      try await peer.send(upgradeRequest)
      try await journal.first { $0 == .connected }
      let connection = try #require(journal.connection)
      let frame = EncodedFrame.binary(ByteBuffer(repeating: 1, count: 1 << 20))
      for _ in 0..<64 { connection.send(frame) }
      #expect(try await journal.closed().cause == .outboundLimit)
      try await peer.channel.close()
    }
  }

  @Test func rejectionsAreToldToTheHTTPSide() {
    let upgrader = WebSocketServerUpgrader<Void>(
      admit: { $1.eventLoop.makeSucceededFuture(.refuse) }, upgraded: { _, _ in })
    let plain = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/", headers: ["Host": "a"])
    #expect(upgrader.rejection(of: plain)?.status == 426)
    let good = HTTPRequestHead(
      version: .http1_1, method: .GET, uri: "/",
      headers: [
        "Host": "a", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
      ])
    #expect(upgrader.rejection(of: good) == nil)
  }
}
