import NIOCore
import NIOEmbedded
import NIOPosix
import Testing
import WebSocket

@testable import WebSocketTransport

/// The peer takes what it is sent slowly, and the ping waits behind it.
@Suite(.timeLimit(.minutes(5))) struct KeepaliveTests {
  private final class Line: Carrier {
    var isActive = true
    var progress: SocketProgress?
    var endpoint: WebSocketEndpoint?

    init(_ progress: SocketProgress?) { self.progress = progress }

    func write(_ buffers: [ByteBuffer]) { endpoint?.written(buffers.reduce(0) { $0 + $1.readableBytes }) }
    func setReading(_ reads: Bool) {}
    func closeOutput() {}
    func close() { isActive = false }
  }

  private final class Rig {
    let loop = EmbeddedEventLoop()
    let journal = Journal()
    let line: Line
    let endpoint: WebSocketEndpoint

    /// After 25 seconds, when a ping was sent.
    init(_ progress: SocketProgress?) throws {
      line = Line(progress)
      let connection = WebSocketConnection(
        eventLoop: loop, remoteAddress: nil, subprotocol: nil, compression: nil)
      endpoint = WebSocketEndpoint(
        role: .server, configuration: Shared(WebSocketConfiguration()), connection: connection,
        resources: LoopResources(eventLoop: loop), session: JournalSession(journal))
      line.endpoint = endpoint
      endpoint.start(on: line, socket: nil)
      pass(.seconds(25))
    }

    func pass(_ time: TimeAmount) { loop.advanceTime(by: time) }

    var causes: [WebSocketCloseReason.Cause] { journal.closings.map(\.cause) }

    func finish() {
      line.endpoint = nil
      endpoint.carrierEnded()
    }
  }

  @Test(arguments: [nil, SocketProgress(taken: 500, outstanding: 0), SocketProgress(taken: 500, outstanding: 9_000)])
  func nothingTakenIsDead(progress: SocketProgress?) throws {
    let rig = try Rig(progress)
    rig.pass(.milliseconds(9_400))
    #expect(rig.causes.isEmpty)
    rig.pass(.milliseconds(600))
    #expect(rig.causes == [.keepaliveTimeout])
    rig.finish()
  }

  /// A program that stands still, on a machine that takes the ping.
  @Test func aPingWithNothingBeforeItIsAnsweredInTime() throws {
    let rig = try Rig(SocketProgress(taken: 500, outstanding: 0))
    rig.line.progress?.taken = 503
    rig.pass(.seconds(10))
    #expect(rig.causes == [.keepaliveTimeout])
    rig.finish()
  }

  @Test func aPeerThatTakesWhatStandsBeforeThePingLives() throws {
    let rig = try Rig(SocketProgress(taken: 500, outstanding: 1_000))
    for step in 1...10 {
      rig.line.progress = SocketProgress(taken: 500 + Int64(step) * 100, outstanding: 1_000 - Int64(step) * 100)
      rig.pass(.seconds(10))
      #expect(rig.causes.isEmpty)
    }
    // Now the ping is there: at the next look its pong is due soon, and what follows it does not count.
    rig.line.progress?.taken = 1_600
    rig.pass(.seconds(10))
    #expect(rig.causes.isEmpty)
    rig.line.progress?.taken = 9_000
    rig.pass(.milliseconds(9_400))
    #expect(rig.causes.isEmpty)
    rig.pass(.milliseconds(600))
    #expect(rig.causes == [.keepaliveTimeout])
    rig.finish()
  }

  @Test func aPeerThatStopsTakingIsCut() throws {
    let rig = try Rig(SocketProgress(taken: 500, outstanding: 1_000))
    rig.line.progress?.taken = 600
    rig.pass(.seconds(10))
    #expect(rig.causes.isEmpty)
    rig.pass(.seconds(10))
    #expect(rig.causes == [.keepaliveTimeout])
    rig.finish()
  }

  @Test func itsPongEndsTheWait() throws {
    let rig = try Rig(SocketProgress(taken: 500, outstanding: 1_000))
    rig.line.progress?.taken = 600
    rig.pass(.seconds(10))
    clientFrame(0x8A, [1]).withUnsafeBytes { rig.endpoint.received($0) }
    rig.pass(.seconds(24))
    #expect(rig.causes.isEmpty)
    rig.finish()
  }

  /// What the kernel says of a peer that reads nothing, and then everything.
  @Test func theKernelsCounts() async throws {
    let loop = MultiThreadedEventLoopGroup.singleton.next()
    let accepted = loop.makePromise(of: (any Channel).self)
    let server = try await ServerBootstrap(group: loop)
      .childChannelOption(.autoRead, value: false)
      .childChannelInitializer { channel in
        accepted.succeed(channel)
        return channel.eventLoop.makeSucceededVoidFuture()
      }
      .bind(host: "127.0.0.1", port: 0).get()
    let client = try await ClientBootstrap(group: loop).connect(to: try #require(server.localAddress)).get()
    let progress = {
      try await loop.submit {
        try client.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
          SystemCalls.progress($0)
        } ?? nil
      }.get()
    }
    let start = try #require(try await progress())
    #expect(start.outstanding == 0)
    let sent: Int64 = 64 << 20
    client.writeAndFlush(ByteBuffer(repeating: 1, count: Int(sent)), promise: nil)
    // Until no more fits: some of it was taken, some waits.
    var (stuck, last) = (0, start)
    while stuck < 1_000 {
      let now = try #require(try await progress())
      stuck = now == last ? stuck + 1 : 0
      last = now
    }
    #expect(last.taken > start.taken && last.taken < start.taken + sent)
    #expect(last.outstanding > 0)
    try await accepted.futureResult.get().setOption(.autoRead, value: true).get()
    while try #require(try await progress()).taken < start.taken + sent {}
    #expect(try await progress() == SocketProgress(taken: start.taken + sent, outstanding: 0))
    try await client.close().get()
    try await accepted.futureResult.get().closeFuture.get()
    try await server.close().get()
  }
}
