import NIOCore
import NIOHTTP1
import NIOPosix
import Testing
import WebSocket

@testable import WebSocketTransport

/// The server's side with real sockets and a peer that says exactly what the test wants.
@Suite(.timeLimit(.minutes(5))) struct ServerTests {
  @Test func framesRightBehindTheRequestAreNotLost() async throws {
    let journal = Journal()
    try await withServer(session: { JournalSession(journal, echoes: true) }) { server in
      let peer = try await RawPeer.connect(port: server.port)
      try await peer.send(Array(upgradeRequest.utf8) + clientFrame(0x81, [0x68, 0x69]) + clientFrame(0x89, [7]))
      #expect(await peer.readHead().hasPrefix("HTTP/1.1 101 "))
      #expect(await peer.read(7) == [0x81, 2, 0x68, 0x69, 0x8A, 1, 7])
      await peer.close()
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
      await peer.close()
    }
  }

  @Test func theRequestInPieces() async throws {
    let journal = Journal()
    try await withServer(session: { JournalSession(journal, echoes: true) }) { server in
      let peer = try await RawPeer.connect(port: server.port)
      for byte in Array(upgradeRequest.utf8) + clientFrame(0x81, [0x61]) { try await peer.send([byte]) }
      #expect(await peer.readHead().contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
      #expect(await peer.read(3) == [0x81, 1, 0x61])
      await peer.close()
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
      await peer.close()
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
    await idle.close()
  }

  @Test(arguments: [
    ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 426), (upgradeRequest.replacing("13", with: "8"), 426),
    (upgradeRequest.replacing("Connection: Upgrade", with: "Connection: close"), 400),
    (upgradeRequest.replacing("dGhl", with: ""), 400),
    (upgradeRequest.replacing("\r\n\r\n", with: "\r\nOrigin: http://evil.example\r\n\r\n"), 403),
  ])
  func refusals(request: String, status: Int) async throws {
    try await withServer(
      origins: .sameHost(also: []),
      admit: { $1.eventLoop.makeSucceededFuture(.accept(session: { JournalSession(Journal()) })) }
    ) { server in
      let peer = try await RawPeer.connect(port: server.port)
      try await peer.send(request)
      let head = await peer.readHead()
      #expect(head.hasPrefix("HTTP/1.1 \(status) "))
      #expect(head.contains("application/problem+json"))
      #expect(head.contains("Sec-WebSocket-Version: 13") == (status == 426))
      #expect(String(decoding: await peer.readToEnd(), as: UTF8.self).contains("\"status\":\(status)"))
      await peer.close()
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
      await peer.close()
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
        expected +=
          payload.count < 126
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
      await peer.close()
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
      await peer.close()
    }
  }

  /// Requests that are not upgraded, with an `Upgrade` header or without, on one connection and behind each other.
  @Test func ordinaryRequestsKeepTheirConnection() async throws {
    let upgrader = WebSocketServerUpgrader<Void>(
      admit: { $1.eventLoop.makeSucceededFuture(.refuse) }, upgraded: { _, _ in })
    let channel = try await ServerBootstrap(group: loops)
      .childChannelInitializer { child in
        child.eventLoop.makeCompletedFuture {
          _ = try upgrader.configurePipeline(of: child) { child in
            child.eventLoop.makeCompletedFuture { try child.pipeline.syncOperations.addHandler(Teller()) }
          }
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    let h2c = "GET /h2c HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n"
    let posted = "POST /post HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi"
    let plain = "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n"
    for requests in [
      [h2c, h2c, plain], [posted, posted, upgradeRequest], [upgradeRequest, plain, h2c], [plain, h2c, plain],
    ] {
      for pipelined in [true, false] {
        let peer = try await RawPeer.connect(port: channel.localAddress?.port ?? 0)
        if pipelined { try await peer.send(requests.joined()) }
        for request in requests {
          if !pipelined { try await peer.send(request) }
          let answer = await peer.readHead()
          #expect(answer.contains("X-Target: \(request.split(separator: " ")[1])\r\n"), "\(request) \(pipelined)")
        }
        await peer.close()
      }
    }
    try await channel.close()
  }

  /// Says which target was asked for.
  private final class Teller: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart
    private var target = ""

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      switch unwrapInboundIn(data) {
      case .head(let head): target = head.uri
      case .body: break
      case .end:
        let headers: HTTPHeaders = ["X-Target": target, "Content-Length": "0"]
        let head = HTTPResponseHead(version: .http1_1, status: .ok, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
      }
    }
  }

  @Test func noiseInsteadOfARequest() async throws {
    try await withServer(session: { JournalSession(Journal()) }) { server in
      let peer = try await RawPeer.connect(port: server.port)
      try await peer.send("\u{16}\u{3}\u{1} not HTTP\r\n\r\n")
      let answer = String(decoding: await peer.readToEnd(), as: UTF8.self)
      #expect(answer.hasPrefix("HTTP/1.1 400 ") && answer.contains("application/problem+json"))
      await peer.close()
    }
  }

  /// Bounds for one peer only, whatever the configuration allows.
  @Test(arguments: [(100, true), (101, false)])
  func limitsOfAnAdmission(size: Int, fits: Bool) async throws {
    let journal = Journal()
    try await withServer(admit: { _, channel in
      channel.eventLoop.makeSucceededFuture(
        .accept(session: { JournalSession(journal) }, limits: Limits(maximumFrameSize: 100, maximumMessageSize: 100)))
    }) { server in
      let peer = try await RawPeer.connect(port: server.port)
      try await peer.send(Array(upgradeRequest.utf8) + clientFrame(0x82, [UInt8](repeating: 0, count: size)))
      _ = await peer.readHead()
      if fits {
        try await journal.first { $0 == .binary(size) }
      } else {
        #expect(try await journal.closed().code == .messageTooBig)
      }
      await peer.close()
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
