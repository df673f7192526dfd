import FoundationEssentials
import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOPosix
import Testing
import WebSocket

@testable import WebSocketTransport

/// `Tests/Corpus` against the production server and client.
@Suite(.timeLimit(.minutes(5))) struct HandshakeCorpusTests {
  private static func file(_ path: String, from file: String = #filePath) throws -> [UInt8] {
    let folder = URL(filePath: file).deletingLastPathComponent().deletingLastPathComponent()
    return Array(try #require(FileManager.default.contents(atPath: folder.appending(path: "Corpus/" + path).path)))
  }

  private static func lines(_ path: String) throws -> [[String]] {
    String(decoding: try file(path), as: UTF8.self).split(separator: "\n")
      .map { $0.split(separator: "\t").map(String.init) }
  }

  /// Where NIO's HTTP decoder takes more than ours: RFC 9112 §3 allows several blanks between the parts of a request
  /// line.
  private static let lenient = ["start-two-blanks": "101"]

  /// Over real sockets, as the connection's first request and behind an ordinary one.
  @Test(arguments: [false, true])
  func everyRequestGetsItsStatus(isSecond: Bool) async throws {
    try await withOrdinaryServer { port in
      for line in try Self.lines("requests.index") {
        let peer = try await RawPeer.connect(port: port)
        if isSecond {
          try await peer.send("GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
          #expect(await peer.readHead().contains("X-Target: /first\r\n"))
        }
        try await peer.send(try Self.file("requests/" + line[0]))
        // A head that is never finished gets no answer but to its end.
        if line[1] == "0" { try await peer.closeOutput() }
        let status = Self.lenient[line[0]] ?? (line[1] == "0" ? "400" : line[1])
        let head = await peer.readHead()
        #expect(head.hasPrefix("HTTP/1.1 \(status) "), "\(line[0]): \(head.prefix(40))")
        #expect(head.contains("application/problem+json") == (status != "101"), "\(line[0])")
        await peer.close()
      }
    }
  }

  /// HTTP as the coordinator has it: ordinary requests are answered and keep their connection.
  private func withOrdinaryServer(_ body: (Int) async throws -> Void) async throws {
    let upgrader = WebSocketServerUpgrader<Void>(
      origins: .sameHost(also: ["https://partner.example"]),
      admit: { $1.eventLoop.makeSucceededFuture(.accept(session: { JournalSession(Journal()) })) },
      upgraded: { _, _ in })
    let channel = try await ServerBootstrap(group: loops)
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelInitializer { child in
        child.eventLoop.makeCompletedFuture {
          _ = try upgrader.configurePipeline(of: child) { child in
            child.eventLoop.makeCompletedFuture {
              try child.pipeline.syncOperations.addHandler(Ordinary { upgrader.rejection(of: $0) })
            }
          }
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    do { try await body(channel.localAddress?.port ?? 0) } catch {
      try await channel.close()
      throw error
    }
    try await channel.close()
  }

  private final class Ordinary: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart
    private let rejection: (HTTPRequestHead) -> HandshakeRejection?
    private var head: HTTPRequestHead?

    init(rejection: @escaping (HTTPRequestHead) -> HandshakeRejection?) { self.rejection = rejection }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      switch unwrapInboundIn(data) {
      case .head(let head):
        // A refusal does not wait for a body that may never come.
        guard head.uri == "/first" else { return refuse(head, context) }
        self.head = head
      case .body: break
      case .end:
        guard let head else { return }
        self.head = nil
        let headers: HTTPHeaders = ["X-Target": head.uri, "Content-Length": "0"]
        context.write(
          wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .ok, headers: headers))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
      }
    }

    private func refuse(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
      let channel = context.channel
      ProblemAnswer(rejection(head)).write(on: context.eventLoop) {
        context.writeAndFlush(self.wrapOutboundOut($0), promise: $1)
      }
      .whenComplete { _ in channel.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
      if (event as? ChannelEvent) == .inputClosed { context.close(promise: nil) }
    }
  }

  // MARK: Answers

  /// The client's handler gets each answer whole and in small pieces.
  @Test(arguments: [Int.max, 1, 5])
  func everyAnswerComesToWhatItMust(size: Int) throws {
    for line in try Self.lines("answers.index") {
      let octets = try Self.file("answers/" + line[0])
      #expect(try outcome(of: octets, inPiecesOf: min(size, octets.count)) == line[1], "\(line[0])")
    }
  }

  private func outcome(of octets: [UInt8], inPiecesOf size: Int) throws -> String {
    let channel = EmbeddedChannel()
    let promise = channel.eventLoop.makePromise(of: WebSocketConnection.self)
    let handshake = try ClientHandshake(
      host: "server.example.com", target: "/chat", nonce: Array("the sample nonce".utf8),
      subprotocols: ["chat", "superchat"], deflate: DeflateConfiguration())
    let handler = ClientHandshakeHandler(handshake: handshake, promise: promise) { agreement, channel in
      WebSocketEndpoint(
        role: .client, configuration: Shared(WebSocketConfiguration()),
        connection: WebSocketConnection(
          eventLoop: channel.eventLoop, remoteAddress: nil, subprotocol: agreement.subprotocol,
          compression: agreement.deflate),
        resources: LoopResources(eventLoop: channel.eventLoop), session: JournalSession(Journal()))
    }
    try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    try channel.pipeline.syncOperations.addHandler(handler)
    var rest = octets[...]
    while !rest.isEmpty {
      _ = try? channel.writeInbound(ByteBuffer(bytes: rest.prefix(size)))
      rest = rest.dropFirst(size)
    }
    defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
    channel.pipeline.fireChannelInactive()
    do {
      _ = try promise.futureResult.wait()
      return "open"
    } catch let error as WebSocketClientError {
      if case .refused(let status, _, let body) = error, body == Array("why".utf8) { return "refused \(status)" }
      return "failed"
    }
  }
}
