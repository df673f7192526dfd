import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// A small HTTP server on a free loopback port, whose answers a closure makes.
final class StubServer: Sendable {
  struct Request: Sendable {
    var method: String
    var path: String
    var headers: [String: String]
    var body: [UInt8]
  }

  struct Answer: Sendable {
    var status = 200
    var headers: [(String, String)] = []
    var body: [UInt8] = []
    /// Close the connection after so many bytes of the body.
    var cutAfter: Int?
    /// Never answer.
    var isSilent = false
  }

  private let channel: any Channel
  private let seen = Mutex<[Request]>([])

  var port: Int { channel.localAddress?.port ?? 0 }
  var requests: [Request] { seen.withLock { $0 } }

  static func start(_ answer: @escaping @Sendable (Request) -> Answer) async throws -> StubServer {
    let recorder = Mutex<StubServer?>(nil)
    let box = Box(recorder)
    let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { child in
        child.eventLoop.makeCompletedFuture {
          try child.pipeline.syncOperations.configureHTTPServerPipeline()
          try child.pipeline.syncOperations.addHandler(
            Handler { request in
              box.value.withLock { $0 }?.seen.withLock { $0.append(request) }
              return answer(request)
            })
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    let server = StubServer(channel: channel)
    box.value.withLock { $0 = server }
    return server
  }

  private init(channel: any Channel) { self.channel = channel }

  func stop() async { try? await channel.close() }

  private final class Box: Sendable {
    let value: Mutex<StubServer?>
    init(_ value: consuming Mutex<StubServer?>) { self.value = value }
  }

  private final class Handler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let answer: (Request) -> Answer
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []

    init(answer: @escaping (Request) -> Answer) { self.answer = answer }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      switch unwrapInboundIn(data) {
      case .head(let head):
        self.head = head
        body = []
      case .body(let buffer): body += buffer.readableBytesView
      case .end: respond(context)
      }
    }

    private func respond(_ context: ChannelHandlerContext) {
      guard let head else { return }
      let headers = Dictionary(head.headers.map { ($0.name.lowercased(), $0.value) }, uniquingKeysWith: { $1 })
      let answer = answer(Request(method: head.method.rawValue, path: head.uri, headers: headers, body: body))
      guard !answer.isSilent else { return }
      var fields = HTTPHeaders(answer.headers)
      if !fields.contains(name: "Content-Length") { fields.add(name: "Content-Length", value: "\(answer.body.count)") }
      context.write(
        wrapOutboundOut(
          .head(HTTPResponseHead(version: .http1_1, status: .init(statusCode: answer.status), headers: fields))),
        promise: nil)
      let bytes = head.method == .HEAD ? [] : answer.body.prefix(answer.cutAfter ?? .max)
      context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: bytes)))), promise: nil)
      if answer.cutAfter != nil {
        context.flush()
        context.close(promise: nil)
      } else {
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
      }
    }
  }
}
