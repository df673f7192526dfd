import HTTPTypes
import Hummingbird
import JSON
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import Wire

/// Looks after what the routes leave undone on a connection:
///
/// - A request that was answered before its body had come is read on and thrown away, since many clients read the answer
///   only when they have sent everything. If it was refused, that goes up to a limit and for a time; then the connection
///   is cut. If not (the file was here already), it goes on while bytes come.
/// - A request that is not HTTP gets an answer that says so, and time to read it.
final class RequestGuard: ChannelDuplexHandler {
  typealias InboundIn = HTTPRequestPart
  typealias InboundOut = HTTPRequestPart
  typealias OutboundIn = HTTPResponsePart
  typealias OutboundOut = HTTPResponsePart

  /// Bytes of an answered request that are still read.
  private let drainLimit: Int
  private let drainTimeout: TimeAmount

  /// Requests that have come, at least their heads, and are not answered to the end.
  private var outstanding = 0
  /// A request's body is still coming.
  private var isReceiving = false
  /// Its sender wants the connection closed after the answer.
  private var closesAfter = false
  /// An answer has begun and not ended.
  private var isAnswering = false
  /// The last answer is out: nothing may follow it.
  private var isOver = false
  /// Who wants the connection closed while its sender may still be reading that answer.
  private var closing: [EventLoopPromise<Void>]?
  /// The answer is an error.
  private var isRefusal = false
  /// Bytes thrown away so far; nil while nothing is.
  private var drained: Int?
  private var timer: Scheduled<Void>?

  init(drainLimit: Int, drainTimeout: TimeAmount) {
    self.drainLimit = drainLimit
    self.drainTimeout = drainTimeout
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    timer?.cancel()
    for promise in closing ?? [] { promise.fail(ChannelError.alreadyClosed) }
  }

  // MARK: Reading

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      outstanding += 1
      isReceiving = true
      closesAfter = head.wantsClose
      context.fireChannelRead(data)
    case .body(let buffer):
      guard let drained else { return context.fireChannelRead(data) }
      self.drained = drained + buffer.readableBytes
      if isRefusal, drained + buffer.readableBytes > drainLimit { context.close(promise: nil) }
    case .end:
      isReceiving = false
      endDraining(context)
      context.fireChannelRead(data)
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    context.fireChannelReadComplete()
    // Nobody behind asks for what is thrown away.
    if drained != nil || isOver { context.read() }
  }

  // MARK: Writing

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    guard !isOver else {
      promise?.fail(ChannelError.ioOnClosedChannel)
      return
    }
    var data = data
    switch unwrapOutboundIn(data) {
    case .head(var head):
      isAnswering = head.status.kind != .informational
      isRefusal = head.status.code >= 400
      // Told, so that the client does not send another request just when the connection ends (RFC 9112 §9.6).
      if isAnswering, closesAfter, outstanding == 1 {
        head.headerFields[.connection] = "close"
        data = wrapOutboundOut(.head(head))
      }
    case .body: break
    case .end:
      isAnswering = false
      outstanding -= 1
      // The end follows the last byte, which the client may have: then what is coming is its next request.
      if isReceiving, outstanding == 0 { beginDraining(context) }
    }
    context.write(data, promise: promise)
  }

  /// `100 Continue` for the request whose body is awaited.
  func sendContinue(_ context: ChannelHandlerContext) {
    guard isReceiving, outstanding == 1, !isAnswering, !isOver else { return }
    context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
  }

  private func beginDraining(_ context: ChannelHandlerContext) {
    guard drained == nil else { return }
    drained = 0
    startTimer(context, before: 0)
    context.read()
  }

  private func startTimer(_ context: ChannelHandlerContext, before: Int) {
    timer = context.eventLoop.assumeIsolated().scheduleTask(in: drainTimeout) {
      guard let drained = self.drained else { return }
      if self.isRefusal || drained == before { return context.close(promise: nil) }
      self.startTimer(context, before: drained)
    }
  }

  private func endDraining(_ context: ChannelHandlerContext) {
    guard drained != nil else { return }
    drained = nil
    timer?.cancel()
    timer = nil
    // Who asked for the close has the answer; nobody else ends this connection.
    if closesAfter { context.close(promise: nil) }
  }

  // MARK: What is not HTTP

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // Whoever reads the body must not take what came of it for the whole.
    defer { context.fireErrorCaught(error) }
    guard error is HTTPParserError, !isAnswering, !isOver, drained == nil else { return }
    // An answer to an earlier request goes first; whoever gives it hears of the error and closes.
    guard outstanding == (isReceiving ? 1 : 0) else { return }
    isOver = true
    let fault = RequestFault(error)
    context.write(wrapOutboundOut(.head(fault.head)), promise: nil)
    context.write(wrapOutboundOut(.body(ByteBuffer(bytes: fault.body))), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    // Closed with bytes unread, a connection is reset, and the answer may be lost to that.
    context.close(mode: .output, promise: nil)
    closing = []
    timer = context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(500)) { self.endLinger(context) }
    context.read()
  }

  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    guard closing != nil else { return context.close(mode: mode, promise: promise) }
    if let promise { closing?.append(promise) }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    // The sender has what it wanted.
    if event as? ChannelEvent == .inputClosed { endLinger(context) }
    context.fireUserInboundEventTriggered(event)
  }

  private func endLinger(_ context: ChannelHandlerContext) {
    guard let promises = closing else { return }
    closing = nil
    timer?.cancel()
    timer = nil
    let closed = context.eventLoop.makePromise(of: Void.self)
    for promise in promises { closed.futureResult.cascade(to: promise) }
    context.close(mode: .all, promise: closed)
  }
}

/// The answer to bytes that are no request.
struct RequestFault: Sendable {
  let problem: Problem

  init(_ error: any Error) {
    switch error as? HTTPParserError {
    case .headerOverflow:
      problem = Problem(431, "header_too_large", "the request's line and headers are too large")
    case .invalidVersion: problem = Problem(505, "http_version", "this server speaks HTTP/1.1")
    default: problem = Problem(400, "malformed_request", "that is not a request of HTTP/1.1")
    }
  }

  var body: [UInt8] { problem.json(requestID: "none").encoded }

  /// Closes the connection.
  var head: HTTPResponse {
    HTTPResponse(
      status: HTTPResponse.Status(code: problem.status),
      headerFields: [
        .contentType: Problem.mediaType, .contentLength: String(body.count), .connection: "close",
      ])
  }
}

extension HTTPRequest {
  /// Its sender sends nothing more.
  fileprivate var wantsClose: Bool {
    (headerFields[.connection] ?? "").split { ", \t".contains($0) }.contains { $0.lowercased() == "close" }
  }
}

extension HTTPResponseHead {
  /// An answer without routes behind it.
  init(_ response: HTTPResponse) {
    self.init(
      version: .http1_1, status: HTTPResponseStatus(statusCode: response.status.code),
      headers: HTTPHeaders(response.headerFields.map { ($0.name.rawName, $0.value) }))
  }
}
