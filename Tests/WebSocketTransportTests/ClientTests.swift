import NIOCore
import NIOHTTP1
import NIOPosix
import Testing
import WebSocket

@testable import WebSocketTransport

@Suite(.timeLimit(.minutes(5))) struct ClientTests {
  private func url(_ server: WebSocketServer) -> String { "ws://127.0.0.1:\(server.port)/x?y=1" }

  @Test(arguments: [
    nil, DeflateConfiguration(), DeflateConfiguration(serverContextTakeover: true, clientContextTakeover: true),
  ])
  func echoes(compression: DeflateConfiguration?) async throws {
    let limits = Limits(maximumFrameSize: 32 << 20, maximumMessageSize: 32 << 20, deflateBomb: 32 << 20)
    let configuration = WebSocketConfiguration(limits: limits, compression: compression)
    let (atServer, atClient) = (Journal(), Journal())
    try await withServer(configuration: configuration, session: { JournalSession(atServer, echoes: true) }) { server in
      let connection = try await WebSocketClient.connect(
        url: url(server), configuration: WebSocketClientConfiguration(connection: configuration), eventLoopGroup: loops,
        session: { JournalSession(atClient) })
      #expect((connection.compression != nil) == (compression != nil))
      connection.send(text: "héllo")
      connection.send(text: "")
      let big = String(repeating: "0123456789abcdef", count: 1 << 16)
      connection.send(text: big)
      connection.send(binary: ByteBuffer(repeating: 7, count: 16 << 20))
      connection.close(code: .normal)
      let reason = try await atClient.closed()
      #expect(reason == WebSocketCloseReason(cause: .local, code: .normal))
      #expect(try await atServer.closed().cause == .peer)
      let messages = atServer.entries.filter { if case .writable = $0 { false } else { true } }
      #expect(messages.prefix(5) == [.connected, .text("héllo"), .text(""), .text(big), .binary(16 << 20)])
    }
  }

  @Test func echoesComeBackInOrder() async throws {
    let atClient = Journal()
    try await withServer(session: { JournalSession(Journal(), echoes: true) }) { server in
      let connection = try await WebSocketClient.connect(
        url: url(server), eventLoopGroup: loops, session: { JournalSession(atClient) })
      for number in 0..<5_000 { connection.send(text: "\(number)") }
      try await atClient.first { $0 == .text("4999") }
      let texts = atClient.entries.compactMap { if case .text(let text) = $0 { text } else { nil } }
      #expect(texts == (0..<5_000).map { "\($0)" })
      connection.close()
      try await atClient.closed()
    }
  }

  @Test func subprotocolAndHeaders() async throws {
    try await withServer(admit: { request, channel in
      #expect(request.headers["X-Api-Key"] == ["secret"])
      #expect(request.uri == "/x?y=1")
      return channel.eventLoop.makeSucceededFuture(
        .accept(session: { JournalSession(Journal()) }, subprotocol: "b"))
    }) { server in
      let connection = try await WebSocketClient.connect(
        url: url(server), headers: [("X-Api-Key", "secret")],
        configuration: WebSocketClientConfiguration(subprotocols: ["a", "b"]), eventLoopGroup: loops,
        session: { JournalSession(Journal()) })
      #expect(connection.subprotocol == "b")
      connection.abort()
    }
  }

  // MARK: Refusals and broken servers

  /// Answers whatever comes with these bytes, and closes if asked to.
  private func withAnswer(_ answer: String, closes: Bool, _ body: (Int) async throws -> Void) async throws {
    final class Answer: ChannelInboundHandler {
      typealias InboundIn = ByteBuffer
      typealias OutboundOut = ByteBuffer
      let text: String
      let closes: Bool

      init(_ text: String, closes: Bool) {
        self.text = text
        self.closes = closes
      }

      func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let channel = context.channel
        let closes = self.closes
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text))).whenComplete { _ in
          if closes { channel.close(promise: nil) }
        }
      }
    }
    let channel = try await ServerBootstrap(group: loops)
      .childChannelInitializer { child in
        child.eventLoop.makeCompletedFuture {
          try child.pipeline.syncOperations.addHandler(Answer(answer, closes: closes))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    try await body(channel.localAddress?.port ?? 0)
    try await channel.close()
  }

  private func outcome(
    port: Int, timeout: TimeAmount = .seconds(10)
  ) async -> (error: WebSocketClientError?, connection: WebSocketConnection?) {
    do throws(WebSocketClientError) {
      let connection = try await WebSocketClient.connect(
        url: "ws://127.0.0.1:\(port)/", configuration: WebSocketClientConfiguration(connectTimeout: timeout),
        eventLoopGroup: loops, session: { JournalSession(Journal()) })
      return (nil, connection)
    } catch {
      return (error, nil)
    }
  }

  @Test(arguments: [
    ("Content-Length: 13\r\n\r\n{\"status\":41}", false), ("\r\n{\"status\":41}", true),
    ("Transfer-Encoding: chunked\r\n\r\n5\r\n{\"sta\r\n8;x=y\r\ntus\":41}\r\n0\r\n\r\n", false),
    ("Transfer-Encoding: gzip, chunked\r\n\r\nD\r\n{\"status\":41}\r\n0\r\nTrailer: 1\r\n\r\n", false),
  ])
  func refusalsCarryStatusAndBody(rest: String, closes: Bool) async throws {
    try await withAnswer("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\n\(rest)", closes: closes) { port in
      guard case .refused(let status, let headers, let body)? = await outcome(port: port).error else {
        Issue.record("not refused")
        return
      }
      #expect(status == 401)
      #expect(headers.contains { $0 == ("WWW-Authenticate", "Bearer") })
      #expect(String(decoding: body, as: UTF8.self) == "{\"status\":41}")
    }
  }

  @Test func interimAnswersAreSkipped() async throws {
    let answer = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    try await withAnswer(answer, closes: false) { port in
      guard case .refused(404, _, _)? = await outcome(port: port).error else {
        Issue.record("not refused with 404")
        return
      }
    }
  }

  @Test(arguments: [
    "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n",
    "HTTP/2 200 OK\r\n\r\n", "SSH-2.0-OpenSSH_9\r\n\r\n", "HTTP/1.1 200 OK\n\n",
  ])
  func answersThatAreNone(answer: String) async throws {
    try await withAnswer(answer, closes: false) { port in
      guard case .invalidResponse? = await outcome(port: port).error else {
        Issue.record("accepted")
        return
      }
    }
  }

  @Test func aServerThatHangsUp() async throws {
    try await withAnswer("HTTP/1.1 101 x\r\n", closes: true) { port in
      guard case .unreachable? = await outcome(port: port).error else {
        Issue.record("accepted")
        return
      }
    }
  }

  @Test func aServerThatSaysNothing() async throws {
    try await withAnswer("", closes: false) { port in
      guard case .timedOut? = await outcome(port: port, timeout: .milliseconds(200)).error else {
        Issue.record("accepted")
        return
      }
    }
  }

  @Test func nobodyListens() async throws {
    var port = 0
    try await withAnswer("", closes: false) { port = $0 }
    guard case .unreachable? = await outcome(port: port).error else {
      Issue.record("accepted")
      return
    }
  }

  // MARK: Shared frames

  @Test func oneFrameForManyConnections() async throws {
    let none = WebSocketClientConfiguration(connection: WebSocketConfiguration(compression: nil))
    let without = WebSocketClientConfiguration()
    let with = WebSocketClientConfiguration(
      connection: WebSocketConfiguration(
        compression: DeflateConfiguration(
          serverContextTakeover: true, clientContextTakeover: true, serverMaxWindowBits: 9)))
    let server = WebSocketConfiguration(
      compression: DeflateConfiguration(serverContextTakeover: true, clientContextTakeover: true))
    let (stream, continuation) = AsyncStream<Journal>.makeStream()
    try await withServer(
      configuration: server,
      session: {
        let journal = Journal()
        continuation.yield(journal)
        return JournalSession(journal)
      }
    ) { server in
      var atServer: [WebSocketConnection] = []
      var atClient: [Journal] = []
      var opened = stream.makeAsyncIterator()
      for configuration in [none, without, with] {
        let journal = Journal()
        atClient.append(journal)
        _ = try await WebSocketClient.connect(
          url: url(server), configuration: configuration, eventLoopGroup: loops, session: { JournalSession(journal) })
        let peer = try #require(await opened.next())
        try await peer.first { $0 == .connected }
        atServer.append(try #require(peer.connection))
      }
      let long = String(repeating: "a long text that compresses well; ", count: 100)
      let run = EncodedFrame(joining: [.text("one"), .text(long), .text("two")])
      #expect(run.count == 3)
      for connection in atServer {
        connection.send(text: long)
        connection.send(run)
        connection.send(text: long)
        connection.send(.text("end"))
      }
      let expected: [Journal.Entry] = [long, "one", long, "two", long, "end"].map { .text($0) }
      for journal in atClient {
        try await journal.first { $0 == .text("end") }
        #expect(journal.entries.filter { $0 != .connected } == expected)
      }
    }
  }

  @Test(arguments: [
    ("ws://a", "a", 80, "/"), ("WSS://a", "a", 443, "/"), ("ws://a:8000/b?c=d", "a", 8000, "/b?c=d"),
    ("ws://[::1]:9/x", "::1", 9, "/x"), ("ws://[fe80::1]", "fe80::1", 80, "/"), ("ws://a?q", "a", 80, "/?q"),
  ])
  func goodURLs(text: String, host: String, port: Int, target: String) throws {
    let url = try WebSocketURL(text)
    #expect(url.host == host)
    #expect(url.port == port)
    #expect(url.target == target)
  }

  @Test(arguments: [
    "", "a", "http://a", "ws:/a", "ws://", "ws://:80", "ws://a:", "ws://a:0", "ws://a:65536", "ws://a:x", "ws://u@a",
    "ws://a#f", "ws://a/ b", "ws://[::1", "ws://[::1]x", "ws://ä/",
  ])
  func badURLs(text: String) { #expect(throws: WebSocketClientError.self) { try WebSocketURL(text) } }
}
