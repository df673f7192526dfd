import NIOCore
public import NIOHTTP1
import NIOPosix
import Synchronization

/// A request as a test sees it.
public struct LoopbackRequest: Sendable {
  public let method: String
  /// Path and query as they came.
  public let target: String
  public let headers: HTTPHeaders
  public let body: [UInt8]
  /// False: the server cut the connection while the body came, as it was told to.
  public let isComplete: Bool

  public var path: String { String(target.prefix { $0 != "?" }) }
  public subscript(header name: String) -> String? { headers.first(name: name) }
}

/// What a test answers.
public struct LoopbackAnswer: Sendable {
  public var status: Int
  public var headers: [(String, String)]
  public var body: [UInt8]
  /// The connection is cut after so many bytes of the body.
  public var cutAfter: Int?

  public init(_ status: Int, _ body: String = "", headers: [(String, String)] = [], cutAfter: Int? = nil) {
    self.init(status, bytes: Array(body.utf8), headers: headers, cutAfter: cutAfter)
  }

  public init(_ status: Int, bytes: [UInt8], headers: [(String, String)] = [], cutAfter: Int? = nil) {
    self.status = status
    self.body = bytes
    self.headers = headers
    self.cutAfter = cutAfter
  }
}

/// An HTTP server on a free port of the loopback interface, whose answers a closure makes.
public final class LoopbackServer: Sendable {
  public typealias Answer = @Sendable (LoopbackRequest) -> LoopbackAnswer

  private let channel: any Channel
  private let log: Log

  final class Log: Sendable {
    let requests = Mutex<[LoopbackRequest]>([])
    /// Bytes of the next request bodies after which the connection is cut; taken from the front.
    let uploadCuts = Mutex<[Int]>([])
  }

  private init(channel: any Channel, log: Log) {
    self.channel = channel
    self.log = log
  }

  public var port: Int { channel.localAddress?.port ?? 0 }
  public var url: String { "http://127.0.0.1:\(port)" }
  /// Everything that was asked so far.
  public var requests: [LoopbackRequest] { log.requests.withLock { $0 } }

  /// The connection is cut when a request's body has reached each of these lengths, one request after the other.
  public func cutUploads(after lengths: [Int]) { log.uploadCuts.withLock { $0 = lengths } }

  /// Serves while `body` runs.
  @discardableResult
  public static func with<Result>(
    _ answer: @escaping Answer, _ body: (LoopbackServer) async throws -> Result
  ) async throws -> Result {
    let log = Log()
    let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.configureHTTPServerPipeline()
          try channel.pipeline.syncOperations.addHandler(LoopbackHandler(answer: answer, log: log))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    let server = LoopbackServer(channel: channel, log: log)
    do {
      let result = try await body(server)
      try await channel.close()
      return result
    } catch {
      try? await channel.close()
      throw error
    }
  }
}

final class LoopbackHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let answer: LoopbackServer.Answer
  private let log: LoopbackServer.Log
  private var head: HTTPRequestHead?
  private var body: [UInt8] = []
  private var cut: Int?

  init(answer: @escaping LoopbackServer.Answer, log: LoopbackServer.Log) {
    self.answer = answer
    self.log = log
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      self.head = head
      body = []
      cut = head.method == .PUT ? log.uploadCuts.withLock { $0.isEmpty ? nil : $0.removeFirst() } : nil
    case .body(let buffer):
      body += buffer.readableBytesView
      if let cut, body.count >= cut {
        body.removeLast(body.count - cut)
        _ = respond(isComplete: false)
        head = nil
        context.close(promise: nil)
      }
    case .end:
      if let response = respond(isComplete: true) { write(response, context) }
    }
  }

  private func respond(isComplete: Bool) -> LoopbackAnswer? {
    guard let head else { return nil }
    let request = LoopbackRequest(
      method: head.method.rawValue, target: head.uri, headers: head.headers, body: body, isComplete: isComplete)
    log.requests.withLock { $0.append(request) }
    return answer(request)
  }

  private func write(_ answer: LoopbackAnswer, _ context: ChannelHandlerContext) {
    var headers = HTTPHeaders(answer.headers)
    if !headers.contains(name: "Content-Length") { headers.add(name: "Content-Length", value: "\(answer.body.count)") }
    let status = HTTPResponseStatus(statusCode: answer.status)
    context.write(
      wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: status, headers: headers))), promise: nil)
    if head?.method != .HEAD {
      let bytes = answer.cutAfter.map { Array(answer.body.prefix($0)) } ?? answer.body
      context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: bytes)))), promise: nil)
    }
    if answer.cutAfter != nil {
      context.flush()
      context.close(promise: nil)
    } else {
      context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }
  }
}
