import Marketplace
import NIOCore
import NIOPosix
import WebSocket
import WebSocketTransport

/// A feed's connection over our own WebSocket.
struct WebSocketFeedConnection: FeedConnection {
  private let stream: WebSocketStream

  /// Throws ``FeedConnectionError``; `CancellationError`.
  static func open(_ path: APIPath, _ configuration: ClientConfiguration) async throws -> WebSocketFeedConnection {
    let url = configuration.url
    var headers = [("User-Agent", configuration.userAgent)]
    if let key = configuration.apiKey { headers.append(("X-Api-Key", key)) }
    do {
      let stream = try await WebSocketStream.connect(
        url: (url.isSecure ? "wss://" : "ws://") + url.authority + url.prefix + path.description, headers: headers,
        configuration: WebSocketClientConfiguration(
          connectTimeout: .milliseconds(configuration.connectTimeout.milliseconds)),
        eventLoopGroup: MultiThreadedEventLoopGroup.singleton, capacity: 16)
      return WebSocketFeedConnection(stream: stream)
    } catch .refused(let status, let headers, let body) {
      let answer = APIAnswer(status: status, headers: AnswerHeaders(headers), body: body)
      throw FeedConnectionError.refused(HTTPTransport.error(of: answer))
    } catch .invalidResponse(let reason) {
      throw FeedConnectionError.refused(.unexpected("no WebSocket there: \(reason)"))
    } catch {
      try Task.checkCancellation()
      throw FeedConnectionError.unreachable(error.description)
    }
  }

  func send(_ text: String) async throws {
    do {
      try await stream.send(text: text)
    } catch is WebSocketStreamClosed {
      // The reader is told next.
    }
  }

  func receive() async throws -> FeedFrame {
    var iterator = stream.makeAsyncIterator()
    while let message = await iterator.next() {
      if case .text(let text) = message { return .text(text) }
    }
    try Task.checkCancellation()
    let reason = stream.closeReason
    return .closed(code: reason.map { Int($0.code.rawValue) } ?? 1006, reason: reason?.reason ?? "")
  }

  func close() async { stream.close() }
}

extension MarketplaceClient {
  /// The life of one job, live. See ``JobFeed``.
  public func watch(_ id: String, options: FeedOptions = FeedOptions()) -> JobFeed {
    let configuration = configuration
    return JobFeed(self, job: id, options: options) { path in
      try await WebSocketFeedConnection.open(path, configuration)
    }
  }
}
