import NIOCore
import NIOEmbedded
import NIOPosix
import Testing

@testable import Coordinator

@Suite(.timeLimit(.minutes(5))) struct StalledPeerTests {
  /// A connection on which an answer waits; `taken` is what the peer's kernel has of it.
  private final class Rig {
    let channel = EmbeddedChannel()
    var taken: Int64?

    init(taken: Int64?) throws {
      self.taken = taken
      try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
      let watch = StallWatch(timeout: .seconds(10)) { [unowned self] _ in self.taken }
      try channel.pipeline.syncOperations.addHandler(StalledPeer(watch))
    }

    func becomes(writable: Bool) {
      channel.isWritable = writable
      channel.pipeline.fireChannelWritabilityChanged()
    }

    func pass(_ time: TimeAmount) { channel.embeddedEventLoop.advanceTime(by: time) }
    func finish() { _ = try? channel.finish(acceptAlreadyClosed: true) }
  }

  /// Nobody knows what it takes, it takes nothing, or a byte too little.
  @Test(arguments: [(nil, nil), (0, 0), (7, 7), (7, 7 + StallWatch.minimum - 1)] as [(Int64?, Int64?)])
  func whoTakesTooLittleIsCut(before: Int64?, after: Int64?) throws {
    let rig = try Rig(taken: before)
    rig.pass(.hours(1))
    rig.becomes(writable: false)
    rig.taken = after
    rig.pass(.milliseconds(9_999))
    #expect(rig.channel.isActive)
    rig.pass(.milliseconds(1))
    #expect(!rig.channel.isActive)
    rig.finish()
  }

  @Test func whoTakesTheLeastIsNot() throws {
    let rig = try Rig(taken: 7)
    rig.becomes(writable: false)
    for number in 1...100 {
      rig.pass(.milliseconds(9_500))
      rig.taken = 7 + Int64(number) * StallWatch.minimum
      rig.pass(.milliseconds(500))
      #expect(rig.channel.isActive)
    }
    rig.pass(.seconds(10))
    #expect(!rig.channel.isActive)
    rig.finish()
  }

  @Test func theTimeBeginsAnewWithEachWait() throws {
    let rig = try Rig(taken: 0)
    for _ in 0..<10 {
      rig.becomes(writable: false)
      rig.pass(.seconds(9))
      rig.becomes(writable: true)
      rig.pass(.minutes(1))
    }
    #expect(rig.channel.isActive)
    rig.becomes(writable: false)
    rig.pass(.seconds(10))
    #expect(!rig.channel.isActive)
    rig.finish()
  }

  /// The kernel's count, at the offset at which the header says it is.
  @Test func theKernelCountsWhatWasTaken() async throws {
    let loop = MultiThreadedEventLoopGroup.singleton.next()
    let accepted = loop.makePromise(of: (any Channel).self)
    let server = try await ServerBootstrap(group: loop)
      .childChannelOption(.autoRead, value: true)
      .childChannelInitializer { channel in
        accepted.succeed(channel)
        return channel.eventLoop.makeSucceededVoidFuture()
      }
      .bind(host: "127.0.0.1", port: 0).get()
    let address = try #require(server.localAddress)
    let client = try await ClientBootstrap(group: loop).connect(to: address).get()
    let before = try await loop.submit { StallWatch.bytesAcknowledged(on: client) }.get()
    let start = try #require(before)
    try await client.writeAndFlush(ByteBuffer(repeating: 1, count: 300_000)).get()
    // The acknowledgment follows the last byte by itself.
    var count = start
    while count < start + 300_000 {
      count = try #require(try await loop.submit { StallWatch.bytesAcknowledged(on: client) }.get())
    }
    #expect(count == start + 300_000)
    try await client.close().get()
    try await accepted.futureResult.get().closeFuture.get()
    try await server.close().get()
  }

  @Test func whatIsNoSocketHasNoCount() throws {
    let channel = EmbeddedChannel()
    #expect(StallWatch.bytesAcknowledged(on: channel) == nil)
    _ = try channel.finish()
  }
}
