import NIOCore
import NIOEmbedded
import TLS
import TLSServer
import Testing

/// What passed the handlers' ends: reads asked of the socket, errors told to those behind.
private final class Watcher: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = ByteBuffer

  var reads = 0
  var errors: [TLSFailure] = []

  func read(context: ChannelHandlerContext) {
    reads += 1
    context.read()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if let error = error as? TLSFailure { errors.append(error) }
  }
}

/// A client's channel with TLS, its peer's session, and watchers before and behind the handler.
private struct Bench {
  let channel = EmbeddedChannel()
  let peer: TLSSession
  let handler: TLSHandler
  let socket = Watcher()
  let behind = Watcher()

  init() async throws {
    peer = try TLSSession(try TestCertificate.serverContext(), role: .server, host: nil)
    let session = try TLSSession(try await TestCertificate.clientContext(), role: .client, host: "localhost")
    handler = TLSHandler(session, eventLoop: channel.eventLoop)
    try channel.pipeline.syncOperations.addHandlers([socket, handler, behind])
    channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
  }

  /// What the client sent goes to the peer.
  func toPeer() throws {
    while let output = try channel.readOutbound(as: ByteBuffer.self) { try peer.receive(output) }
  }

  func fromPeer() throws {
    while let output = peer.takeOutput() { try channel.writeInbound(output) }
  }

  func shakeHands() throws {
    for _ in 0..<3 {
      try toPeer()
      _ = try peer.handshake()
      try fromPeer()
    }
  }

  func peerReads() throws -> String {
    try toPeer()
    var got = ByteBuffer()
    while try peer.read(into: &got) == .bytes {}
    return String(buffer: got)
  }
}

@Suite struct HandlerTests {
  @Test func whatIsWrittenBeforeTheHandshakeFollowsIt() async throws {
    let bench = try await Bench()
    let written = bench.channel.eventLoop.makePromise(of: Void.self)
    bench.channel.writeAndFlush(ByteBuffer(string: "early "), promise: nil)
    bench.channel.writeAndFlush(ByteBuffer(string: "words"), promise: written)
    try bench.shakeHands()
    try await bench.handler.handshake.get()
    try await written.futureResult.get()
    #expect(try bench.peerReads() == "early words")
    _ = try bench.channel.finish()
  }

  @Test func partsOfARecordAskForTheRest() async throws {
    let bench = try await Bench()
    try bench.shakeHands()
    try bench.peer.write(ByteBuffer(string: "whole"))
    guard var record = bench.peer.takeOutput() else { _ = Issue.record("nothing sent"); return }
    bench.channel.read()
    let before = bench.socket.reads
    while record.readableBytes > 1, let octet = record.readSlice(length: 1) { try bench.channel.writeInbound(octet) }
    #expect(try bench.channel.readInbound(as: ByteBuffer.self) == nil)
    #expect(bench.socket.reads > before)
    try bench.channel.writeInbound(record)
    #expect(try bench.channel.readInbound(as: ByteBuffer.self) == ByteBuffer(string: "whole"))
    // Nobody asked for more.
    let after = bench.socket.reads
    bench.channel.pipeline.fireChannelReadComplete()
    #expect(bench.socket.reads == after)
    _ = try bench.channel.finish()
  }

  @Test func anEndThatWasNotToldIsAnError() async throws {
    let bench = try await Bench()
    try bench.shakeHands()
    bench.channel.pipeline.fireChannelInactive()
    #expect(bench.behind.errors == [.truncated])
    _ = try bench.channel.finish()
  }

  @Test func anEndThatWasToldIsNone() async throws {
    let bench = try await Bench()
    try bench.shakeHands()
    try bench.peer.write(ByteBuffer(string: "last"))
    bench.peer.shutdown()
    try bench.fromPeer()
    #expect(try bench.channel.readInbound(as: ByteBuffer.self) == ByteBuffer(string: "last"))
    // TCP was left open: this end closes it, and says so.
    #expect(!bench.channel.isActive)
    #expect(bench.behind.errors.isEmpty)
    try bench.toPeer()
    var rest = ByteBuffer()
    #expect(try bench.peer.read(into: &rest) == .closed)
  }

  @Test func aHandshakeCutShortFails() async throws {
    let bench = try await Bench()
    try await bench.channel.close()
    await #expect(throws: TLSFailure.closedInHandshake) { try await bench.handler.handshake.get() }
  }

  @Test func closingSaysSo() async throws {
    let bench = try await Bench()
    try bench.shakeHands()
    bench.channel.write(ByteBuffer(string: "last"), promise: nil)
    bench.channel.close(promise: nil)
    #expect(try bench.peerReads() == "last")
    var rest = ByteBuffer()
    #expect(try bench.peer.read(into: &rest) == .closed)
  }
}
