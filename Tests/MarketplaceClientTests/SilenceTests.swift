import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import MarketplaceClient

/// A line that takes what is written when the test says so.
private final class SlowLine: ChannelOutboundHandler {
  typealias OutboundIn = HTTPClientRequestPart

  private var waiting: [EventLoopPromise<Void>?] = []
  var count: Int { waiting.count }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) { waiting.append(promise) }
  func flush(context: ChannelHandlerContext) {}
  func takeOne() { waiting.removeFirst()?.succeed() }
}

/// When a connection is given up for silence, in the event loop's own time.
@Suite struct SilenceTests {
  private let channel = EmbeddedChannel()
  private let line = SlowLine()
  private let handler = ExchangeHandler(silenceTimeout: .seconds(60)) { _ in }

  private func begin(_ body: RequestBody) throws -> EventLoopFuture<ReceivedAnswer> {
    try channel.pipeline.syncOperations.addHandlers([line, handler])
    channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
    let answer = channel.eventLoop.makePromise(of: ReceivedAnswer.self)
    handler.begin(
      HTTPRequestHead(version: .http1_1, method: .POST, uri: "/"), body: body, deadline: .distantFuture, answer: answer)
    return answer.futureResult
  }

  /// A large body on a slow line takes longer than the limit; each part that the line takes is a sign of life.
  @Test func aSlowLineIsNotSilent() throws {
    let answer = try begin(.bytes(ByteBuffer(repeating: 120, count: 1 << 20)))
    // Its head, sixteen slices and its end.
    #expect(line.count == 18)
    line.takeOne()
    for _ in 0..<16 {
      channel.embeddedEventLoop.advanceTime(by: .seconds(50))
      #expect(channel.isActive)
      line.takeOne()
    }
    channel.embeddedEventLoop.advanceTime(by: .seconds(50))
    channel.embeddedEventLoop.advanceTime(by: .seconds(9))
    #expect(channel.isActive)
    channel.embeddedEventLoop.advanceTime(by: .seconds(1))
    #expect(!channel.isActive)
    #expect(throws: ConnectionFailure.silence) { _ = try answer.wait() }
  }

  @Test func aLineThatTakesNothingIs() throws {
    let answer = try begin(.bytes(ByteBuffer(repeating: 120, count: 1 << 20)))
    channel.embeddedEventLoop.advanceTime(by: .seconds(59))
    #expect(channel.isActive)
    channel.embeddedEventLoop.advanceTime(by: .seconds(1))
    #expect(throws: ConnectionFailure.silence) { _ = try answer.wait() }
  }
}
