import DequeModule
import NIOCore
import NIOEmbedded
import Testing
import WebSocket

@testable import WebSocketTransport

/// The peer takes what it is sent slowly, and the ping waits behind it.
@Suite struct KeepaliveTests {
  /// Holds what is written until the peer takes it.
  private final class Valve: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer

    private var held = Deque<(NIOAny, EventLoopPromise<Void>?)>()
    private var context: ChannelHandlerContext?

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
      held.append((data, promise))
    }

    func handlerRemoved(context: ChannelHandlerContext) {
      for (_, promise) in held { promise?.fail(ChannelError.ioOnClosedChannel) }
      held = []
    }

    func takeOne() {
      guard let (data, promise) = held.popFirst() else { return }
      context?.writeAndFlush(data, promise: promise)
    }
  }

  private struct Rig {
    let channel = EmbeddedChannel()
    let journal = Journal()
    let valve = Valve()
    let connection: WebSocketConnection

    /// Messages that wait, and 25 seconds later a ping behind them.
    init(messages: Int) throws {
      connection = WebSocketConnection(
        eventLoop: channel.eventLoop, remoteAddress: nil, subprotocol: nil, compression: nil)
      let endpoint = WebSocketEndpoint(
        role: .server, configuration: Shared(WebSocketConfiguration()), connection: connection,
        resources: LoopResources(eventLoop: channel.eventLoop), session: JournalSession(journal))
      try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
      try channel.pipeline.syncOperations.addHandlers(valve, ChannelCarrier(endpoint))
      for number in 0..<messages { connection.send(text: "\(number)") }
      pass(.seconds(25))
    }

    func pass(_ time: TimeAmount) {
      channel.embeddedEventLoop.advanceTime(by: time)
      channel.embeddedEventLoop.run()
    }

    var causes: [WebSocketCloseReason.Cause] { journal.closings.map(\.cause) }
    func finish() { _ = try? channel.finish(acceptAlreadyClosed: true) }
  }

  @Test func nothingTakenIsDead() throws {
    let rig = try Rig(messages: 10)
    rig.pass(.milliseconds(9_400))
    #expect(rig.causes.isEmpty)
    rig.pass(.milliseconds(600))
    #expect(rig.causes == [.keepaliveTimeout])
    rig.finish()
  }

  @Test func aPeerThatTakesWhatStandsBeforeThePingLives() throws {
    let rig = try Rig(messages: 10)
    // The last one is the ping.
    for _ in 0..<11 {
      rig.pass(.seconds(8))
      rig.valve.takeOne()
      #expect(rig.causes.isEmpty)
    }
    // From here on it is to be answered.
    rig.pass(.milliseconds(9_400))
    #expect(rig.causes.isEmpty)
    rig.pass(.milliseconds(1_200))
    #expect(rig.causes == [.keepaliveTimeout])
    rig.finish()
  }

  @Test func whatFollowsThePingDoesNotCount() throws {
    let rig = try Rig(messages: 1)
    for number in 0..<10 { rig.connection.send(text: "after \(number)") }
    rig.valve.takeOne()
    rig.valve.takeOne()
    for _ in 0..<2 {
      rig.pass(.seconds(4))
      #expect(rig.causes.isEmpty)
      rig.valve.takeOne()
    }
    rig.pass(.milliseconds(2_600))
    #expect(rig.causes == [.keepaliveTimeout])
    rig.finish()
  }

  @Test func itsPongEndsTheWait() throws {
    let rig = try Rig(messages: 1)
    rig.valve.takeOne()
    rig.valve.takeOne()
    rig.pass(.seconds(9))
    try rig.channel.writeInbound(ByteBuffer(bytes: clientFrame(0x8A, [1])))
    rig.pass(.seconds(14))
    #expect(rig.causes.isEmpty)
    rig.finish()
  }
}
