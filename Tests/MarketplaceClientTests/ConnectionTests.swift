import Glibc
import LoopbackServer
import Marketplace
import NIOCore
import Synchronization
import Testing

@testable import MarketplaceClient

/// What connections are used for, how many there are, and how their faults are told.
@Suite(.timeLimit(.minutes(5))) struct ConnectionTests {
  private static let empty = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

  private static func answersEach(_ text: String = empty) -> ScriptedServer.Script {
    { _, received in received.hasSuffix("\r\n\r\n") ? [.send(text)] : [] }
  }

  private func reason(_ server: ScriptedServer, change: (inout ClientConfiguration) -> Void = { _ in }) async -> String
  {
    do {
      _ = try await withClient(
        server.url,
        change: {
          $0.retries = RetryPolicy(maximumAttempts: 1)
          change(&$0)
        }
      ) { try await $0.transport.call(APIRequest(.get, APIPath("x"))) }
      return "none"
    } catch let ClientError.unreachable(_, reason) {
      return reason
    } catch {
      return "\(error)"
    }
  }

  @Test func callsShareOneConnection() async throws {
    try await ScriptedServer.with(Self.answersEach()) { server in
      try await withClient(server.url) { client in
        for _ in 0..<20 { _ = try await client.transport.call(APIRequest(.get, APIPath("x"))) }
      }
      #expect(server.opened == 1)
    }
  }

  @Test func aConnectionThatTheServerClosedIsNotUsed() async throws {
    try await ScriptedServer.with({ _, received in
      received.hasSuffix("\r\n\r\n") ? [.send(Self.empty), .close] : []
    }) { server in
      try await withClient(server.url, change: { $0.retries = RetryPolicy(maximumAttempts: 1) }) { client in
        for round in 1...20 {
          _ = try await client.transport.call(APIRequest(.get, APIPath("x")))
          while server.closed < round { await Task.yield() }
        }
      }
      #expect(server.opened == 20)
    }
  }

  /// A request that came too late on a connection may have been carried out: only what may be repeated is.
  @Test(arguments: [(APIRequest.Method.get, nil), (.put, nil), (.post, "key"), (.post, nil)])
  func aLateRequestIsRepeatedIfItMayBe(method: APIRequest.Method, key: String?) async throws {
    try await ScriptedServer.with({ number, received in
      guard received.hasSuffix("\r\n\r\n") else { return [] }
      return received.contains("/first") || number > 1 ? [.send(Self.empty)] : [.close]
    }) { server in
      try await withClient(server.url) { client in
        _ = try await client.transport.call(APIRequest(.get, APIPath("first")))
        let answer = try? await client.transport.open(APIRequest(method, APIPath("x"), idempotencyKey: key))
        #expect((answer != nil) == (method != .post || key != nil))
      }
    }
  }

  /// Whoever sends a stretch of a file asks first how much of it has arrived.
  @Test func aStreamIsNotRepeated() async throws {
    try await ScriptedServer.with({ _, received in
      received.contains("/first") ? [.send(Self.empty)] : received.hasSuffix("abc") ? [.close] : []
    }) { server in
      try await TemporaryFolder.with { folder in
        try TemporaryFolder.write(Array("abc".utf8), to: folder + "/f")
        try await withClient(server.url) { client in
          _ = try await client.transport.call(APIRequest(.get, APIPath("first")))
          let body = UploadBody(try OpenFile(folder + "/f", O_RDONLY), 0..<3, progress: nil)
          await #expect(throws: ClientError.self) {
            try await client.transport.open(APIRequest(.put, APIPath("x")), upload: body)
          }
        }
      }
      #expect(server.opened == 1)
    }
  }

  @Test func answersThatCloseEndTheConnection() async throws {
    let text = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
    try await ScriptedServer.with(Self.answersEach(text)) { server in
      try await withClient(server.url) { client in
        for _ in 0..<3 { _ = try await client.transport.call(APIRequest(.get, APIPath("x"))) }
      }
      #expect(server.opened == 3)
    }
  }

  @Test func moreCallsThanConnectionsTakeTurns() async throws {
    try await ScriptedServer.with(Self.answersEach()) { server in
      try await withClient(
        server.url,
        change: {
          $0.maximumConnections = 2
          $0.retries = RetryPolicy(maximumAttempts: 1)
        }
      ) { client in
        try await withThrowingTaskGroup(of: Void.self) { group in
          for _ in 0..<50 {
            group.addTask { _ = try await client.transport.call(APIRequest(.get, APIPath("x"))) }
          }
          try await group.waitForAll()
        }
      }
      #expect((1...2).contains(server.opened))
    }
  }

  /// One call has the only connection for ever; one that waits for it can be given up, and so can the first.
  @Test func waitingAndBeingAnsweredEndWithTheTask() async throws {
    try await ScriptedServer.with({ _, _ in [] }) { server in
      try await withClient(server.url, change: { $0.maximumConnections = 1 }) { client in
        let calls = (0..<3).map { _ in Task { try await client.transport.call(APIRequest(.get, APIPath("x"))) } }
        while server.opened < 1 { await Task.yield() }
        for call in calls.reversed() {
          call.cancel()
          await #expect(throws: CancellationError.self) { try await call.value }
        }
      }
    }
  }

  @Test func waitingForAConnectionEndsWithTheCallsTime() async throws {
    try await ScriptedServer.with({ _, _ in [] }) { server in
      try await withClient(server.url, change: { $0.maximumConnections = 1 }) { client in
        let first = Task { try await client.transport.open(APIRequest(.get, APIPath("x"))) }
        while server.opened < 1 { await Task.yield() }
        await #expect(throws: ClientError.self) {
          try await client.transport.open(APIRequest(.get, APIPath("y")), within: Seconds(milliseconds: 50))
        }
        first.cancel()
        _ = await first.result
      }
    }
  }

  @Test func shutdownEndsCallsUnderWay() async throws {
    try await ScriptedServer.with({ _, _ in [] }) { server in
      try await withClient(server.url, change: { $0.maximumConnections = 1 }) { client in
        let calls = (0..<2).map { _ in Task { try await client.transport.open(APIRequest(.get, APIPath("x"))) } }
        while server.opened < 1 { await Task.yield() }
        await client.shutdown()
        for call in calls { await #expect(throws: ClientError.self) { try await call.value } }
      }
    }
  }

  @Test func silenceIsTold() async throws {
    let begun = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12"
    for script in [{ _, _ in [] }, Self.answersEach(begun)] as [ScriptedServer.Script] {
      try await ScriptedServer.with(script) { server in
        let reason = await reason(server) { $0.silenceTimeout = Seconds(milliseconds: 100) }
        #expect(reason == "no answer within the time allowed")
      }
    }
  }

  @Test func whatIsNotHTTPIsTold() async throws {
    try await ScriptedServer.with({ _, _ in [.send("220 mail.example.org ESMTP\r\n")] }) { server in
      #expect(await reason(server).hasPrefix("the answer is not HTTP"))
    }
  }

  @Test func anEndBeforeTheAnswersIsTold() async throws {
    for text in ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12"] {
      try await ScriptedServer.with({ _, _ in [.send(text), .close] }) { server in
        #expect(await reason(server) == "the connection was closed before the answer was complete")
      }
    }
  }

  /// A server that refuses a large body before it has come, and reads none of it.
  @Test func anEarlyAnswerEndsTheUpload() async throws {
    let refusal = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 23\r\n\r\n" + #"{"detail":"too large"}"# + " "
    try await ScriptedServer.with({ _, received in received.contains("\r\n\r\n") ? [.stopReading, .send(refusal)] : [] }
    ) {
      server in
      try await TemporaryFolder.with { folder in
        try TemporaryFolder.write([UInt8](repeating: 7, count: 64 << 20), to: folder + "/large")
        try await withClient(server.url) { client in
          let file = try OpenFile(folder + "/large", O_RDONLY)
          let answer = try await client.transport.open(
            APIRequest(.put, APIPath("x")), upload: UploadBody(file, 0..<(64 << 20), progress: nil))
          #expect(answer.status == 413)
          #expect(await client.transport.error(of: answer).description == "too large")
        }
      }
    }
  }

  /// What nobody takes stays at the server: the client keeps some pieces, and the kernel's buffers fill.
  @Test func aBodyIsReadAsFastAsItIsTaken() async throws {
    let size = 256 << 20
    try await ScriptedServer.with({ _, received in
      guard received.hasSuffix("\r\n\r\n") else { return [] }
      guard received.contains("/v1/x") else { return [.send("HTTP/1.1 204 No Content\r\n\r\n")] }
      return [.send("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n"), .pour(size)]
    }) { server in
      try await withClient(server.url) { client in
        let answer = try await client.transport.open(APIRequest(.get, APIPath("x")))
        // Time enough for the server to send all of it.
        for _ in 0..<500 { _ = try await client.transport.open(APIRequest(.get, APIPath("small"))) }
        #expect(server.poured < 64 << 20)
        var taken = 0
        for try await piece in answer.body { taken += piece.readableBytes }
        #expect(taken == size)
      }
    }
  }

  /// A body that is left half read costs its connection, and nothing else.
  @Test func aBodyThatIsLeftClosesTheConnection() async throws {
    try await ScriptedServer.with({ _, received in
      received.hasSuffix("\r\n\r\n")
        ? [.send("HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n"), .pour(90_000_000)] : []
    }) { server in
      try await withClient(server.url) { client in
        for round in 1...3 {
          let answer = try await client.transport.open(APIRequest(.get, APIPath("x")))
          for try await _ in answer.body { break }
          while server.closed < round { await Task.yield() }
        }
      }
      #expect(server.opened == 3)
    }
  }
}
