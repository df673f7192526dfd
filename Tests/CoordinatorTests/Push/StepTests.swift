import JSON
import Marketplace
import NIOCore
import Store
import Synchronization
import Testing
import WebSocket
import WebSocketTransport
import Wire

@testable import Coordinator

private let job = Known.job(1)

/// Readers that have the same share one cursor; whatever takes one of them out of step, it misses nothing and gets
/// nothing twice.
@Suite(.timeLimit(.minutes(5))) struct StepTests {
  @Test func readersComeIntoStepAndAreServedTogether() async throws {
    try await HubFixture.run { fixture in
      fixture.change((job, .running))
      var clients: [FeedClient] = []
      for _ in 0..<4 {
        var client = try await fixture.client("/account?key")
        #expect(try await client.next()?.summary == "snapshot 1 1")
        clients.append(client)
      }
      try await fixture.inStep()
      fixture.change((job, .running), (job, .running))
      fixture.progress(50)
      for index in clients.indices {
        for expected in ["status 2 running", "status 3 running", "progress 50"] {
          #expect(try await clients[index].next()?.summary == expected)
        }
      }
      try await fixture.inStep()
    }
  }

  /// More is published at once than memory holds: those in step go to the store, each on its own, and come back.
  @Test func anOverrunScattersThem() async throws {
    var limits = FeedLimits()
    limits.runEvents = 4
    limits.historyPage = 3
    try await HubFixture.run(limits: limits) { fixture in
      var clients = [try await fixture.client("/account?key"), try await fixture.client("/account?key")]
      for index in clients.indices { #expect(try await clients[index].next()?.summary == "snapshot 0 0") }
      try await fixture.inStep()
      fixture.hub.publish(events: (0..<20).flatMap { _ in fixture.store.commit([(job, .running)]) })
      for index in clients.indices {
        for sequence in Int64(1)...20 { #expect(try await clients[index].next()?.sequence == sequence) }
      }
      try await fixture.inStep()
      fixture.change((job, .running))
      for index in clients.indices { #expect(try await clients[index].next()?.sequence == 21) }
    }
  }

  @Test func aResumeTakesOneOutOfStepAndBack() async throws {
    try await HubFixture.run { fixture in
      for _ in 0..<5 { fixture.change((job, .running)) }
      var client = try await fixture.client("/account?key")
      #expect(try await client.next()?.summary == "snapshot 5 1")
      try await fixture.inStep()
      try await client.send(.resume(epoch: "epoch-1", after: 2))
      for sequence in Int64(3)...5 { #expect(try await client.next()?.sequence == sequence) }
      try await fixture.inStep()
      fixture.change((job, .running))
      #expect(try await client.next()?.sequence == 6)
    }
  }

  /// A snapshot may be newer than what those in step have: events of other topics came meanwhile.
  @Test func oneThatIsFurtherOnJoinsThem() async throws {
    try await HubFixture.run { fixture in
      var first = try await fixture.client("/account?key")
      #expect(try await first.next()?.summary == "snapshot 0 0")
      fixture.store.state.withLock { $0.owners[Known.job(9)] = Known.stranger }
      fixture.change((Known.job(9), .running))
      var second = try await fixture.client("/account?key")
      #expect(try await second.next()?.summary == "snapshot 1 0")
      try await fixture.inStep()
      fixture.change((job, .running))
      #expect(try await first.next()?.sequence == 2)
      #expect(try await second.next()?.sequence == 2)
    }
  }

  /// A reader may have from the store what was committed but not published yet.
  @Test(arguments: ["/account?key&after=0", "/account?key"])
  func oneThatIsAheadOfTheHubGetsNothingTwice(path: String) async throws {
    try await HubFixture.run { fixture in
      fixture.change((job, .running))
      let committed = fixture.store.commit([(job, .running), (job, .running)])
      var client = try await fixture.client(path)
      if path.contains("after") {
        for sequence in Int64(1)...3 { #expect(try await client.next()?.sequence == sequence) }
      } else {
        #expect(try await client.next()?.summary == "snapshot 3 1")
      }
      await fixture.turn()
      fixture.hub.publish(events: committed)
      fixture.change((job, .running))
      #expect(try await client.next()?.sequence == 4)
      try await fixture.inStep()
    }
  }

  @Test func aJobsEndReachesReadersInStep() async throws {
    try await HubFixture.run { fixture in
      fixture.change((job, .running))
      var ofJob = try await fixture.client("/job?key")
      var ofAccount = try await fixture.client("/account?key")
      #expect(try await ofJob.next()?.summary == "snapshot 1 1")
      #expect(try await ofAccount.next()?.summary == "snapshot 1 1")
      try await ofAccount.send(.subscribe(job: job.rawValue, logs: true, offsets: [:]))
      fixture.log("last words")
      #expect(try await ofAccount.next()?.summary == "log 1 stdout 0 last words")
      try await fixture.inStep()
      fixture.endLogs()
      fixture.change((job, .completed))
      #expect(try await ofJob.next()?.summary == "end 2 completed")
      var rest: [String] = []
      while rest.count < 3, let message = try await ofAccount.next() { rest.append(message.summary) }
      #expect(rest.sorted() == ["end 2 completed", "log 1 stderr 0  eof", "log 1 stdout 10  eof"])
    }
  }

  @Test func marketReadersAreInStepToo() async throws {
    var limits = FeedLimits()
    limits.marketInterval = Seconds(0)
    try await HubFixture.run(limits: limits) { fixture in
      var clients = [try await fixture.client("/account"), try await fixture.client("/account")]
      try await fixture.inStep()
      for round in 1...3 {
        fixture.hub.publish(market: JSONObject([("pending", .integer(Int64(round)))]))
        for index in clients.indices {
          guard case .market(let figures) = try await clients[index].next() else {
            Issue.record("no figures")
            return
          }
          #expect(figures["pending"]?.integer == Int64(round))
        }
        try await fixture.inStep()
      }
      try await clients[0].send(.auth(apiKey: "good"))
      #expect(try await clients[0].next()?.summary == "snapshot 0 0")
      fixture.change((job, .running))
      #expect(try await clients[0].next()?.sequence == 1)
    }
  }

  /// The group's connections are those in step, and leave with their sessions.
  @Test func thoseThatLeaveAreForgotten() async throws {
    try await HubFixture.run { fixture in
      var staying = try await fixture.client("/account?key")
      #expect(try await staying.next()?.summary == "snapshot 0 0")
      for code in 0..<20 {
        var leaving = try await fixture.client("/account?key")
        _ = try await leaving.next()
        fixture.change((job, .running))
        if code % 2 == 0 { leaving.stream.close() } else { leaving.stream.connection?.abort() }
        #expect(try await staying.next()?.sequence == Int64(code + 1))
      }
      try await fixture.inStep()
      #expect(fixture.hub.statistics.topics == 2)
    }
  }
}
