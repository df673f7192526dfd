import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import NIOPosix
import Testing
import WebSocket

@testable import WebSocketTransport

/// An opening handshake that is not its connection's first request.
@Suite(.timeLimit(.minutes(5))) struct LateUpgradeTests {
  /// Answers ordinary requests, each when the test says so, and counts what reaches it.
  private final class Ordinary: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart
    let log: NIOLockedValueBox<[String]>
    let delay: TimeAmount

    init(_ log: NIOLockedValueBox<[String]>, delay: TimeAmount) {
      self.log = log
      self.delay = delay
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      guard case .head(let head) = unwrapInboundIn(data) else { return }
      log.withLockedValue { $0.append(head.uri) }
      let bound = context.loopBound
      context.eventLoop.scheduleTask(in: delay) { Self.answer(head, bound.value) }
    }

    private static func answer(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
      let headers: HTTPHeaders = ["X-Target": head.uri, "Content-Length": "2"]
      context.write(
        wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .ok, headers: headers))), promise: nil)
      context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: "ok")))), promise: nil)
      context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
      log.withLockedValue { $0.append("inactive") }
      context.fireChannelInactive()
    }
  }

  private struct Setting: Sendable {
    let port: Int
    let journal: Journal
    let log: NIOLockedValueBox<[String]>
  }

  private func run(
    delay: TimeAmount = .zero, refusing: Int = 0, admissionDelay: TimeAmount = .zero,
    _ body: (Setting) async throws -> Void
  ) async throws {
    let journal = Journal()
    let log = NIOLockedValueBox<[String]>([])
    let refusals = NIOLockedValueBox(refusing)
    let upgrader = WebSocketServerUpgrader<Void>(
      admit: { _, channel in
        channel.eventLoop.scheduleTask(in: admissionDelay) { () -> WebSocketAdmission in
          let isRefused = refusals.withLockedValue { left in
            left -= 1
            return left >= 0
          }
          return isRefused ? .refuse : .accept(session: { JournalSession(journal, echoes: true) })
        }.futureResult
      }, upgraded: { _, _ in })
    let channel = try await ServerBootstrap(group: loops)
      .childChannelInitializer { child in
        child.eventLoop.makeCompletedFuture {
          _ = try upgrader.configurePipeline(
            of: child,
            leaving: { channel in
              log.withLockedValue { $0.append("leaving") }
              return channel.eventLoop.makeSucceededVoidFuture()
            },
            notUpgrading: { child in
              child.eventLoop.makeCompletedFuture {
                try child.pipeline.syncOperations.addHandler(Ordinary(log, delay: delay))
              }
            })
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    do {
      try await body(Setting(port: channel.localAddress?.port ?? 0, journal: journal, log: log))
    } catch {
      try await channel.close()
      throw error
    }
    try await channel.close()
  }

  private let get = "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n"
  private let post = "POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"

  private func expectAnswer(_ peer: RawPeer, _ target: String) async {
    #expect(await peer.readHead().contains("X-Target: \(target)\r\n"))
    #expect(await peer.read(2) == Array("ok".utf8))
  }

  private func expectEcho(_ peer: RawPeer) async throws {
    #expect(await peer.readHead().hasPrefix("HTTP/1.1 101 "))
    #expect(await peer.read(3) == [0x81, 1, 0x61])
    try await peer.send(clientFrame(0x81, [0x62]))
    #expect(await peer.read(3) == [0x81, 1, 0x62])
  }

  @Test func behindAnOrdinaryRequest() async throws {
    try await run { setting in
      let peer = try await RawPeer.connect(port: setting.port)
      for (request, target) in [(get, "/plain"), (post, "/post")] {
        try await peer.send(request)
        await expectAnswer(peer, target)
      }
      try await peer.send(Array(upgradeRequest.utf8) + clientFrame(0x81, [0x61]))
      try await expectEcho(peer)
      // The handlers behind may know already that the socket has left them.
      #expect(setting.log.withLockedValue { $0.prefix(3) } == ["/plain", "/post", "leaving"])
      try await peer.send(clientFrame(0x88, [0x03, 0xE8]))
      #expect(await peer.readToEnd() == [0x88, 2, 0x03, 0xE8])
      #expect(try await setting.journal.closed().cause == .peer)
      await peer.close()
    }
  }

  /// All in one piece, and octet by octet: the 101 comes behind the answers that were asked for before it.
  @Test(arguments: [false, true])
  func pipelined(octetByOctet: Bool) async throws {
    try await run(delay: .milliseconds(30)) { setting in
      let peer = try await RawPeer.connect(port: setting.port)
      let octets = Array((get + post + upgradeRequest).utf8) + clientFrame(0x81, [0x61])
      if octetByOctet { for octet in octets { try await peer.send([octet]) } } else { try await peer.send(octets) }
      await expectAnswer(peer, "/plain")
      await expectAnswer(peer, "/post")
      try await expectEcho(peer)
      await peer.close()
      try await setting.journal.closed()
    }
  }

  @Test func refusedAndThenUpgraded() async throws {
    try await run(refusing: 2) { setting in
      let peer = try await RawPeer.connect(port: setting.port)
      for _ in 0..<2 {
        try await peer.send(upgradeRequest)
        await expectAnswer(peer, "/chat")
      }
      try await peer.send(get)
      await expectAnswer(peer, "/plain")
      try await peer.send(Array(upgradeRequest.utf8) + clientFrame(0x81, [0x61]))
      try await expectEcho(peer)
      await peer.close()
    }
  }

  /// The refusals come in other turns of the loop, when all the rest has arrived.
  @Test func refusalsWithMoreBehindThem() async throws {
    try await run(refusing: 2, admissionDelay: .milliseconds(20)) { setting in
      let peer = try await RawPeer.connect(port: setting.port)
      try await peer.send(
        Array((upgradeRequest + get + upgradeRequest + post + upgradeRequest).utf8) + clientFrame(0x81, [0x61]))
      for target in ["/chat", "/plain", "/chat", "/post"] { await expectAnswer(peer, target) }
      try await expectEcho(peer)
      await peer.close()
    }
  }

  @Test func theHandlersBehindHearTheEnd() async throws {
    try await run { setting in
      let peer = try await RawPeer.connect(port: setting.port)
      try await peer.send(get)
      await expectAnswer(peer, "/plain")
      try await peer.send(Array(upgradeRequest.utf8) + clientFrame(0x81, [0x61]))
      try await expectEcho(peer)
      await peer.close()
      #expect(try await setting.journal.closed().cause == .connectionLost)
      while !setting.log.withLockedValue({ $0.contains("inactive") }) { await Task.yield() }
    }
  }

  /// What a client sends while its request waits stays in its socket: megabytes of it cost nothing.
  @Test func nothingIsReadWhileARequestWaits() async throws {
    try await run(admissionDelay: .milliseconds(300)) { setting in
      let peer = try await RawPeer.connect(port: setting.port)
      try await peer.send(get)
      await expectAnswer(peer, "/plain")
      try await peer.send(upgradeRequest)
      let sent = NIOLockedValueBox(0)
      let piece = ByteBuffer(bytes: clientFrame(0x82, [UInt8](repeating: 1, count: 120)))
      var flood = ByteBuffer()
      for _ in 0..<500 { flood.writeImmutableBuffer(piece) }
      // 32 MB: far more than the kernel's buffers hold.
      for _ in 0..<512 {
        let size = flood.readableBytes
        peer.channel.writeAndFlush(flood).whenSuccess { sent.withLockedValue { $0 += size } }
      }
      #expect(await peer.readHead().hasPrefix("HTTP/1.1 101 "))
      #expect(sent.withLockedValue { $0 } < 20 << 20)
      await peer.close()
      try await setting.journal.closed()
    }
  }

  /// Nothing of it is kept past the bound.
  @Test func aTargetThatDoesNotEnd() async throws {
    try await run { setting in
      let peer = try await RawPeer.connect(port: setting.port)
      try await peer.send("GET /")
      for _ in 0..<64 { peer.channel.writeAndFlush(ByteBuffer(repeating: 0x61, count: 64 << 10), promise: nil) }
      #expect(await peer.readHead().hasPrefix("HTTP/1.1 431 "))
      await peer.close()
    }
  }

  @Test func noiseBehindAnOrdinaryRequest() async throws {
    try await run { setting in
      let peer = try await RawPeer.connect(port: setting.port)
      try await peer.send(get)
      await expectAnswer(peer, "/plain")
      try await peer.send("not HTTP\r\n\r\n")
      let answer = String(decoding: await peer.readToEnd(), as: UTF8.self)
      #expect(answer.hasPrefix("HTTP/1.1 400 ") && answer.contains("application/problem+json"))
      await peer.close()
    }
  }
}
