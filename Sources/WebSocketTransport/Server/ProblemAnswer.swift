import NIOCore
import NIOHTTP1
import WebSocket

/// An error answer of the transport itself, where no HTTP side stands behind: a problem document (RFC 9457), and the
/// connection closes.
struct ProblemAnswer {
  let status: HTTPResponseStatus
  let code: String
  let detail: String
  var fields: [HTTPField] = []

  /// What the request's decoder did not take.
  init(_ error: any Error) {
    switch error {
    case HTTPParserError.headerOverflow, is ByteToMessageDecoderError.PayloadTooLargeError:
      self.init(.requestHeaderFieldsTooLarge, "HEADERS_TOO_LARGE", "the header section is larger than the limit")
    default: self.init(.badRequest, "BAD_REQUEST", "this is not HTTP/1.1")
    }
  }

  /// A refused handshake; nil: the program refused it.
  init(_ rejection: HandshakeRejection?) {
    guard let rejection else {
      self.init(.forbidden, "REFUSED", "the connection was refused")
      return
    }
    self.init(HTTPResponseStatus(statusCode: rejection.status), rejection.code, rejection.reason)
    fields = rejection.fields
  }

  private init(_ status: HTTPResponseStatus, _ code: String, _ detail: String) {
    self.status = status
    self.code = code
    self.detail = detail
  }

  /// Head and body; the connection closes behind them.
  var parts: (head: HTTPResponseHead, body: ByteBuffer) {
    let body = """
      {"type":"about:blank","title":"\(status.reasonPhrase)","status":\(status.code),\
      "code":"\(code)","detail":"\(detail)"}\n
      """
    var headers = HTTPHeaders([
      ("Content-Type", "application/problem+json"), ("Content-Length", "\(body.utf8.count)"), ("Connection", "close"),
    ])
    for field in fields { headers.replaceOrAdd(name: field.name, value: field.value) }
    if status == .upgradeRequired { headers.replaceOrAdd(name: "Connection", value: "Upgrade, close") }
    return (HTTPResponseHead(version: .http1_1, status: status, headers: headers), ByteBuffer(string: body))
  }

  /// Hands the parts to `send`; the future is that of the last one.
  func write(
    on eventLoop: any EventLoop, _ send: (HTTPServerResponsePart, EventLoopPromise<Void>?) -> Void
  ) -> EventLoopFuture<Void> {
    let promise = eventLoop.makePromise(of: Void.self)
    let (head, body) = parts
    send(.head(head), nil)
    send(.body(.byteBuffer(body)), nil)
    send(.end(nil), promise)
    return promise.futureResult
  }
}
