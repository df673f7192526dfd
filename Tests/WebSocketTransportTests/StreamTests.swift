import NIOCore
import Testing
import WebSocket

@testable import WebSocketTransport

@Suite(.timeLimit(.minutes(5))) struct StreamTests {
  /// Ends that do not read answer no pings, and how long a test takes is the machine's affair.
  private static let unhurried = WebSocketConfiguration(
    compression: nil, pingInterval: nil, maximumBufferedBytes: 256 << 20)

  private func open(_ server: WebSocketServer, capacity: Int = 64) async throws -> WebSocketStream {
    try await WebSocketStream.connect(
      url: "ws://127.0.0.1:\(server.port)/",
      configuration: WebSocketClientConfiguration(connection: Self.unhurried), eventLoopGroup: loops,
      capacity: capacity)
  }

  @Test func messagesUntilTheEnd() async throws {
    try await withServer(session: { JournalSession(Journal(), echoes: true) }) { server in
      let stream = try await open(server)
      try await stream.send(text: "a")
      try await stream.send(binary: ByteBuffer(bytes: [1, 2]))
      var iterator = stream.makeAsyncIterator()
      #expect(await iterator.next() == .text("a"))
      #expect(await iterator.next() == .binary(ByteBuffer(bytes: [1, 2])))
      #expect(stream.closeReason == nil)
      stream.close(code: CloseCode(4000), reason: "enough")
      #expect(await iterator.next() == nil)
      #expect(await iterator.next() == nil)
      #expect(stream.closeReason == WebSocketCloseReason(cause: .local, code: CloseCode(4000), reason: "enough"))
      await #expect(throws: WebSocketStreamClosed.self) { try await stream.send(text: "late") }
    }
  }

  /// The reader takes nothing; the server's buffer must fill, and then everything must come in order.
  @Test func aSlowReaderSlowsTheServerDown() async throws {
    let journal = Journal()
    try await withServer(configuration: Self.unhurried, session: { JournalSession(journal) }) { server in
      let stream = try await open(server, capacity: 4)
      try await journal.first { $0 == .connected }
      let connection = try #require(journal.connection)
      let padding = String(repeating: "x", count: 200_000)
      let count = 200
      for number in 0..<count { connection.send(text: "\(number) \(padding)") }
      try await connection.eventLoop.submit {}.get()
      // 40 MB do not fit into the kernel's buffers: most waits at the server.
      #expect(connection.bufferedBytes > 20 << 20)
      var next = 0
      for await message in stream {
        guard case .text(let text) = message else { continue }
        #expect(text.hasPrefix("\(next) "))
        next += 1
        if next == count { break }
      }
      #expect(next == count)
      stream.close()
      try await journal.closed()
    }
  }

  /// A server that does not read: `send` waits instead of buffering without end.
  @Test func sendingWaitsForASlowPeer() async throws {
    let journal = Journal()
    try await withServer(configuration: Self.unhurried, session: { JournalSession(journal) }) { server in
      let stream = try await open(server)
      try await journal.first { $0 == .connected }
      let connection = try #require(journal.connection)
      connection.pauseReading()
      let sender = Task {
        var sent = 0
        while !Task.isCancelled, sent < 2_000 {
          try await stream.send(binary: ByteBuffer(repeating: UInt8(sent & 0xFF), count: 10_007))
          sent += 1
        }
        return sent
      }
      let client = try #require(stream.connection)
      // The sender gets stuck: nothing becomes writable any more.
      var stuck = 0
      var last = -1
      while stuck < 200 {
        try #require(stream.closeReason == nil)
        try await client.eventLoop.submit {}.get()
        stuck = client.bufferedBytes == last && !client.isWritable ? stuck + 1 : 0
        last = client.bufferedBytes
      }
      #expect(client.bufferedBytes < 1 << 20)
      connection.resumeReading()
      #expect(try await sender.value == 2_000)
      stream.close()
      try await journal.closed()
    }
  }

  @Test func cancellationEndsTheSequence() async throws {
    try await withServer(session: { JournalSession(Journal()) }) { server in
      let stream = try await open(server)
      let reader = Task { for await _ in stream {} }
      reader.cancel()
      await reader.value
      stream.close()
    }
  }
}
