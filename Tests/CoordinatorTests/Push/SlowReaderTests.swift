import Clocks
import Marketplace
import NIOCore
import NIOPosix
import Store
import Synchronization
import Testing
import WebSocket
import WebSocketTransport
import Wire

@testable import Coordinator

private let job = Known.job(1)

@Suite(.serialized, .timeLimit(.minutes(5))) struct SlowReaderTests {
  /// A reader that stops reading is closed with 4008, costs its bound and no more, and resumes without loss.
  @Test func closedAndResumed() async throws {
    var limits = FeedLimits()
    limits.eventsBehind = 300
    limits.runEvents = 64
    limits.historyPage = 16
    try await HubFixture.run(limits: limits) { fixture in
      fixture.change((job, .running))
      var client = try await fixture.client("/account?key", isLazy: true)
      #expect(try await client.next()?.summary == "snapshot 1 1")
      // Frames of about 8 KB: what the kernel's buffers take is soon used up.
      var published = 0
      while fixture.hub.statistics.slowClosed == 0, published < 20_000 {
        for _ in 0..<50 { fixture.change((job, .running), padding: 4000) }
        published += 50
        await fixture.turn()
      }
      #expect(fixture.hub.statistics.slowClosed == 1)
      let seen = try await client.rest().compactMap(\.sequence)
      #expect(client.closeCode == 4008)
      #expect(seen == Array(2..<Int64(seen.count + 2)))
      let last = seen.last ?? 1
      #expect(last < Int64(published))
      var again = try await fixture.client("/account?key&after=\(last)")
      for sequence in (last + 1)...Int64(published + 1) {
        let got = try await again.next()?.sequence
        #expect(got == sequence)
        guard got == sequence else { return }
      }
    }
  }

  /// While it lags, a reader that comes back in time gets everything, from memory or from the store.
  @Test func catchesUp() async throws {
    var limits = FeedLimits()
    limits.runEvents = 16
    limits.historyPage = 8
    try await HubFixture.run(limits: limits) { fixture in
      fixture.change((job, .running))
      var client = try await fixture.client("/account?key", isLazy: true)
      #expect(try await client.next()?.summary == "snapshot 1 1")
      let count: Int64 = 2000
      for index in 0..<count {
        fixture.change((job, .running), padding: 4000)
        if index % 100 == 0 { await fixture.turn() }
      }
      for sequence in 2...(count + 1) {
        let got = try await client.next()?.sequence
        #expect(got == sequence)
        guard got == sequence else { return }
      }
      #expect(fixture.store.state.withLock { $0.pagesRead } > 0, "it never lagged")
    }
  }

  /// A page of history counts as well: one that resumes far back and reads nothing costs no page.
  @Test func historyStaysWithinTheBound() async throws {
    var limits = FeedLimits()
    limits.runEvents = 4
    limits.eventsBehind = 100_000
    let (fixture, opened) = try await Self.spied(limits, resume: FeedResume(epoch: "epoch-1", after: 0))
    let count: Int64 = 2000
    for _ in 0..<count { fixture.change((job, .running), padding: 4000) }
    var lazy = try await fixture.client("/", isLazy: true)
    #expect(try await lazy.next()?.sequence == 1)
    let connection = try #require(opened.connections.first)
    var most = 0
    while connection.isWritable {
      most = max(most, connection.bufferedBytes)
      await fixture.turn()
    }
    // It stops for good when all buffers of the kernel are full too.
    for _ in 0..<50 {
      most = max(most, connection.bufferedBytes)
      await fixture.turn()
    }
    #expect(most <= WebSocketConfiguration().highWatermark + 10_000, "one event of about 8 KB may be above")
    for sequence in 2...count {
      let got = try await lazy.next()?.sequence
      #expect(got == sequence)
      guard got == sequence else { break }
    }
    await fixture.server.shutdown()
  }

  /// One paused reader does not hold up another, and what waits for it stays within its bound.
  @Test func othersGoOn() async throws {
    var limits = FeedLimits()
    limits.eventsBehind = 100_000
    let (fixture, opened) = try await Self.spied(limits)
    var lazy = try await fixture.client("/", isLazy: true)
    #expect(try await lazy.next()?.summary == "snapshot 0 0")
    let paused = try #require(opened.connections.first)
    var keen = try await fixture.client("/")
    #expect(try await keen.next()?.summary == "snapshot 0 0")
    let bound = WebSocketConfiguration().highWatermark + limits.batchBytes + 16 << 10
    var roundsLeft = 300
    var round: Int64 = -1
    while roundsLeft > 0 {
      round += 1
      // Once the other one is slow, a few more rounds show that it does not matter.
      roundsLeft = !paused.isWritable ? min(roundsLeft - 1, 20) : roundsLeft - 1
      for _ in 0..<10 { fixture.change((job, .running), padding: 4000) }
      for index in Int64(1)...10 {
        let got = try await keen.next()?.sequence
        #expect(got == round * 10 + index)
        guard got == round * 10 + index else { break }
      }
      #expect(paused.bufferedBytes <= bound)
    }
    #expect(!paused.isWritable, "the paused reader was never slow")
    await fixture.server.shutdown()
  }
}

extension SlowReaderTests {
  /// A fixture that shows the server's connections, in the order in which they were opened.
  private static func spied(_ limits: FeedLimits, resume: FeedResume? = nil) async throws -> (HubFixture, Opened) {
    let source = TestSource()
    let opened = Opened()
    let hub = PushHub(source: source, clock: SystemClock(), lastSequence: 0, limits: limits)
    let server = try await WebSocketServer.bind(
      port: 0, eventLoopGroup: MultiThreadedEventLoopGroup.singleton
    ) { _, channel in
      channel.eventLoop.makeCompletedFuture {
        let ticket = try hub.admit(address: nil, account: nil)
        return .accept(session: {
          let session = hub.session(scope: .account, account: Known.account, resume: resume, ticket: ticket)
          return Spy(session, opened: opened.add)
        })
      }
    }
    return (HubFixture(store: source, hub: hub, server: server), opened)
  }
}

private final class Opened: Sendable {
  private let list = Mutex<[WebSocketConnection]>([])
  var connections: [WebSocketConnection] { list.withLock { $0 } }
  func add(_ connection: WebSocketConnection) { list.withLock { $0.append(connection) } }
}

/// Passes everything on and shows the server's connection.
private final class Spy: WebSocketSession {
  private let session: any WebSocketSession
  private let opened: (WebSocketConnection) -> Void

  init(_ session: any WebSocketSession, opened: @escaping (WebSocketConnection) -> Void) {
    self.session = session
    self.opened = opened
  }

  func connected(_ connection: WebSocketConnection) {
    opened(connection)
    session.connected(connection)
  }
  func received(text: ByteBuffer) { session.received(text: text) }
  func received(binary: ByteBuffer) { session.received(binary: binary) }
  func writabilityChanged(_ isWritable: Bool) { session.writabilityChanged(isWritable) }
  func quiescing() { session.quiescing() }
  func closed(_ reason: WebSocketCloseReason) { session.closed(reason) }
}
