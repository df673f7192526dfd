import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import Testing

@testable import Coordinator
@testable import Store

/// A file on its way through a real socket.
@Suite(.timeLimit(.minutes(5))) struct FileSenderTests {
  private static let size = (1 << 20) + 20_000
  /// Clients that wait for bytes must not hold up the tests' own threads.
  private static let readers: NIOThreadPool = {
    let pool = NIOThreadPool(numberOfThreads: 16)
    pool.start()
    return pool
  }()
  private static let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }

  /// A server's end of a connection whose client keeps at most a few KiB, and takes what it is asked to.
  private struct Rig: Sendable {
    let channel: any Channel
    let client: CInt
    let file: StoredFile

    var sender: FileSender { FileSender(channel: channel, blocking: .singleton) }

    /// The next bytes; fewer when the connection ends.
    func read(_ count: Int) async throws -> [UInt8] {
      try await FileSenderTests.readers.runIfActive {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while bytes.count < count {
          let got = recv(client, &piece, min(piece.count, count - bytes.count), 0)
          guard got > 0 else { break }
          bytes += piece[..<got]
        }
        return bytes
      }
    }
  }

  /// - Parameter timeout: how long the client may take nothing.
  private static func with(timeout: TimeAmount, _ body: (Rig) async throws -> Void) async throws {
    var template = Array("/tmp/aitbc-sender.XXXXXX".utf8CString)
    let descriptor = mkstemp(&template)
    try #require(descriptor >= 0)
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { unlink(path) }
    try #require(write(descriptor, bytes, bytes.count) == bytes.count)
    close(descriptor)
    let loop = MultiThreadedEventLoopGroup.singleton.next()
    let accepted = loop.makePromise(of: (any Channel).self)
    let server = try await ServerBootstrap(group: loop)
      .childChannelOption(.socketOption(.so_sndbuf), value: 4096)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandlers(
            HTTPResponseEncoder(), FileRegionWriter(StallWatch(timeout: timeout)))
          accepted.succeed(channel)
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    let client = socket(AF_INET, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    defer { close(client) }
    var room: CInt = 4096
    setsockopt(client, SOL_SOCKET, SO_RCVBUF, &room, socklen_t(MemoryLayout<CInt>.size))
    let address = try #require(server.localAddress)
    let isConnected = address.withSockAddr { connect(client, $0, socklen_t($1)) == 0 }
    try #require(isConnected)
    let channel = try await accepted.futureResult.get()
    try await body(Rig(channel: channel, client: client, file: try StoredFile(path: path)))
    channel.close(promise: nil)
    try await channel.closeFuture.get()
    try await server.close().get()
  }

  @Test(arguments: [(0, size), (5, size - 5), ((1 << 20) - 1, 2), (size - 1, 1), (100, 0)])
  func partsComeWhole(start: Int, count: Int) async throws {
    try await Self.with(timeout: .minutes(5)) { rig in
      async let sent: Void = rig.sender.send(rig.file, from: Int64(start), count: Int64(count))
      let taken = try await rig.read(count)
      #expect(taken == Array(Self.bytes[start..<start + count]))
      try await sent
    }
  }

  /// However much is left of what is under way: a whole stretch, or too little to make the channel unwritable.
  @Test(arguments: [0, 500_000, (1 << 20) + 1, size - 16_000])
  func whoStopsTakingIsCut(after count: Int) async throws {
    try await Self.with(timeout: .milliseconds(300)) { rig in
      let sent = Task { try await rig.sender.send(rig.file, from: 0, count: Int64(Self.size)) }
      _ = try await rig.read(count)
      await #expect(throws: (any Error).self) { try await sent.value }
      try await rig.channel.closeFuture.get()
    }
  }

  @Test func cancellationEndsTheConnection() async throws {
    try await Self.with(timeout: .minutes(5)) { rig in
      let task = Task { try await rig.sender.send(rig.file, from: 0, count: Int64(Self.size)) }
      _ = try await rig.read(1000)
      task.cancel()
      await #expect(throws: (any Error).self) { try await task.value }
      try await rig.channel.closeFuture.get()
    }
  }

  @Test func aFileThatIsTooShortIsNoAnswer() async throws {
    try await Self.with(timeout: .minutes(5)) { rig in
      await #expect(throws: ShortFile.self) { try await rig.sender.send(rig.file, from: 100_000, count: 1 << 20) }
    }
  }
}
