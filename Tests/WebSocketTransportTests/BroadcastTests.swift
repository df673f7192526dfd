import NIOCore
import NIOEmbedded
import Synchronization
import Testing
import WebSocket

@testable import WebSocketTransport

/// What a group sends arrives whole, once, and in its place among what else a connection sends: whatever the socket
/// takes, and whoever leaves meanwhile.
@Suite(.timeLimit(.minutes(5))) struct BroadcastTests {
  private static func binary(_ fill: UInt8, _ count: Int) -> EncodedFrame {
    .binary(ByteBuffer(repeating: fill, count: count))
  }

  private static func octets(_ fill: UInt8, _ count: Int) -> [UInt8] {
    serverFrame(0x82, [UInt8](repeating: fill, count: count))
  }

  @Test func aSocketWithRoomTakesItAtOnce() throws {
    let rig = try SocketRig()
    let waiting = try rig.onLoop {
      let group = BroadcastGroup()
      #expect(group.add(rig.connection))
      #expect(!group.add(rig.connection), "twice")
      group.send(Self.binary(1, 100))
      group.send(Self.binary(2, 10))
      return rig.connection.bufferedBytes
    }
    #expect(waiting == 0)
    #expect(rig.read(114) == Self.octets(1, 100) + Self.octets(2, 10))
  }

  /// A short write, then a full socket, then its own messages in between: the stream is as it was sent.
  @Test func shortWritesKeepTheOrder() throws {
    let rig = try SocketRig()
    let expected = try rig.onLoop {
      let group = BroadcastGroup()
      group.add(rig.connection)
      group.send(Self.binary(1, 300_000))
      #expect(rig.connection.bufferedBytes > 0, "the socket took it all")
      #expect(rig.journal.entries.last == .writable(false))
      group.send(Self.binary(2, 5))
      rig.connection.send(text: "own")
      group.send(Self.binary(3, 70_000))
      return Self.octets(1, 300_000) + Self.octets(2, 5) + serverFrame(0x81, Array("own".utf8))
        + Self.octets(3, 70_000)
    }
    #expect(rig.read(expected.count) == expected)
    // Everything has left: the direct way is open again.
    let direct = try rig.onLoop {
      #expect(rig.connection.bufferedBytes == 0)
      let group = BroadcastGroup()
      rig.connection.endpoint?.seat?.group.remove(rig.connection)
      group.add(rig.connection)
      group.send(Self.binary(4, 9))
      return rig.connection.bufferedBytes
    }
    #expect(direct == 0)
    #expect(rig.read(11) == Self.octets(4, 9))
  }

  @Test func aGroupQueuesBehindWhatTheConnectionSentInThisTurn() throws {
    let rig = try SocketRig()
    try rig.onLoop {
      let group = BroadcastGroup()
      group.add(rig.connection)
      rig.connection.send(text: "first")
      group.send(Self.binary(7, 3))
      rig.connection.send(text: "last")
    }
    let expected = serverFrame(0x81, Array("first".utf8)) + Self.octets(7, 3) + serverFrame(0x81, Array("last".utf8))
    #expect(rig.read(expected.count) == expected)
  }

  @Test func nothingFollowsAClose() throws {
    let rig = try SocketRig()
    try rig.onLoop {
      let group = BroadcastGroup()
      group.add(rig.connection)
      group.send(Self.binary(1, 4))
      rig.connection.close(code: .normal)
      group.send(Self.binary(2, 4))
    }
    rig.say(clientFrame(0x88, [0x03, 0xE8]))
    #expect(rig.readToEnd() == Self.octets(1, 4) + [0x88, 2, 0x03, 0xE8])
  }

  /// The socket's number may belong to somebody else after the close: nothing may be written to it.
  @Test func aClosedSocketIsForgottenInTheSameTurn() throws {
    let rig = try SocketRig()
    try rig.onLoop {
      let group = BroadcastGroup()
      group.add(rig.connection)
      rig.connection.abort()
      #expect(rig.connection.endpoint?.laneSocket == -1)
      group.send(Self.binary(1, 4))
    }
    #expect(rig.readToEnd().isEmpty)
    #expect(rig.journal.closings.count == 1)
  }

  /// One that is thrown out while a frame is sent does not disturb the others, and gets nothing more.
  @Test func membersLeaveInTheMiddle() throws {
    let tight = try SocketRig(configuration: WebSocketConfiguration(compression: nil, maximumBufferedBytes: 50_000))
    let loop = tight.loop
    var others: [SocketRig] = []
    while others.count < 3 {
      let rig = try SocketRig(room: 1 << 20)
      if rig.loop === loop { others.append(rig) }
    }
    let rigs = others
    try tight.onLoop {
      let group = BroadcastGroup()
      for rig in [rigs[0], tight, rigs[1], rigs[2]] { group.add(rig.connection) }
      group.send(Self.binary(1, 60_000))
      group.send(Self.binary(2, 60_000))
      #expect(tight.journal.closings.map(\.cause) == [.outboundLimit])
      group.remove(rigs[0].connection)
      group.send(Self.binary(3, 5))
      #expect(group.count == 3, "the one that was dropped leaves with its socket")
    }
    let both = Self.octets(1, 60_000) + Self.octets(2, 60_000)
    #expect(rigs[0].read(both.count) == both)
    for rig in rigs.dropFirst() {
      let all = both + Self.octets(3, 5)
      #expect(rig.read(all.count) == all)
    }
    try tight.onLoop { for rig in rigs { rig.connection.abort() } }
    #expect(rigs[0].readToEnd().isEmpty)
  }

  @Test func compressedOnceForAllWhoShareIt() throws {
    let shared = DeflateAgreement(serverNoContextTakeover: true)
    let text = String(repeating: "the same words ", count: 40)
    var rigs: [SocketRig] = []
    while rigs.count < 3 {
      let rig = try SocketRig(
        configuration: WebSocketConfiguration(), deflate: rigs.isEmpty ? nil : shared)
      if rigs.isEmpty || rig.loop === rigs[0].loop { rigs.append(rig) }
    }
    let members = rigs
    let size = try members[0].onLoop {
      let group = BroadcastGroup()
      for rig in members { group.add(rig.connection) }
      let frame = EncodedFrame.text(text)
      group.send(frame)
      return frame.compressed(threshold: 64, pool: DeflatePool()).readableBytes
    }
    #expect(members[0].read(4 + text.utf8.count) == serverFrame(0x81, Array(text.utf8)))
    let one = members[1].read(size)
    #expect(one.first == 0xC1)
    #expect(size < text.utf8.count / 4)
    #expect(members[2].read(size) == one)
  }

  /// Without a socket of its own (TLS) a connection gets the same, through its queue.
  @Test func channelsTakePartToo() throws {
    let channel = EmbeddedChannel()
    let connection = WebSocketConnection(
      eventLoop: channel.eventLoop, remoteAddress: nil, subprotocol: nil, compression: nil)
    let endpoint = WebSocketEndpoint(
      role: .server, configuration: Shared(WebSocketConfiguration()), connection: connection,
      resources: LoopResources(eventLoop: channel.eventLoop), session: JournalSession(Journal()))
    try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    try channel.pipeline.syncOperations.addHandler(ChannelCarrier(endpoint))
    let group = BroadcastGroup()
    #expect(group.add(connection))
    group.send(Self.binary(5, 2))
    channel.embeddedEventLoop.run()
    #expect(try channel.readOutbound(as: ByteBuffer.self) == ByteBuffer(bytes: Self.octets(5, 2)))
    _ = try? channel.finish()
    #expect(group.count == 0)
  }
}
