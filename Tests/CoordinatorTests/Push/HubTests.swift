import Clocks
import JSON
import Marketplace
import NIOCore
import Store
import Synchronization
import Testing
import WebSocketTransport
import Wire

@testable import Coordinator

private let job = Known.job(1)

/// Through real sockets.
@Suite(.timeLimit(.minutes(5))) struct HubTests {
  @Test func snapshotThenEvents() async throws {
    try await HubFixture.run { fixture in
      fixture.change((job, .pending), (Known.job(2), .pending))
      var client = try await fixture.client("/account?key")
      #expect(try await client.next()?.summary == "snapshot 2 2")
      fixture.change((job, .assigned), (job, .running))
      fixture.change((Known.job(2), .canceled))
      for expected in ["status 3 assigned", "status 4 running", "end 5 canceled"] {
        #expect(try await client.next()?.summary == expected)
      }
    }
  }

  @Test func anonymousUntilAuth() async throws {
    try await HubFixture.run { fixture in
      fixture.change((job, .running))
      fixture.hub.publish(market: JSONObject([("pending", 3)]))
      var client = try await fixture.client("/account")
      #expect(try await client.next()?.summary == "market")
      // A late reader of the figures gets them at once.
      var second = try await fixture.client("/account")
      #expect(try await second.next()?.summary == "market")
      try await client.send(.subscribe(job: job.rawValue, logs: true, offsets: [:]))
      #expect(try await client.next()?.summary == "error unauthorized")
      try await client.send(.auth(apiKey: "good"))
      #expect(try await client.next()?.summary == "snapshot 1 1")
    }
  }

  @Test func wrongKeysAreTold() async throws {
    try await HubFixture.run { fixture in
      fixture.change((job, .running))
      var client = try await fixture.client("/account")
      try await client.send(.auth(apiKey: "bad"))
      #expect(try await client.rest().map(\.summary) == ["error unauthorized"])
      #expect(client.closeCode == 4501)
      var foreign = try await fixture.client("/job")
      try await foreign.send(.auth(apiKey: "other"))
      #expect(try await foreign.rest().map(\.summary) == ["error job_not_found"])
      #expect(foreign.closeCode == 4504)
    }
  }

  @Test func anAccountSeesOnlyItsOwn() async throws {
    try await HubFixture.run { fixture in
      fixture.store.state.withLock { $0.owners[Known.job(9)] = Known.stranger }
      fixture.change((job, .pending), (Known.job(9), .pending))
      var client = try await fixture.client("/account?key")
      #expect(try await client.next()?.summary == "snapshot 2 1")
      fixture.change((Known.job(9), .running), (job, .running))
      #expect(try await client.next()?.summary == "status 4 running")
      try await client.send(.subscribe(job: Known.job(9).rawValue, logs: true, offsets: [:]))
      #expect(try await client.next()?.summary == "error job_not_found")
    }
  }

  @Test func resumesByURLAndByMessage() async throws {
    var limits = FeedLimits()
    limits.historyPage = 2
    try await HubFixture.run(limits: limits) { fixture in
      for _ in 0..<5 { fixture.change((job, .running)) }
      var client = try await fixture.client("/account?key&after=1")
      for sequence in 2...5 { #expect(try await client.next()?.summary == "status \(sequence) running") }
      var other = try await fixture.client("/account")
      // Before `auth`: behind it, a snapshot may already be under way.
      try await other.send(.resume(epoch: "epoch-1", after: 3))
      try await other.send(.auth(apiKey: "good"))
      fixture.change((job, .canceling))
      for expected in ["status 4 running", "status 5 running", "status 6 canceling"] {
        #expect(try await other.next()?.summary == expected)
      }
      var lost = try await fixture.client("/account?key&after=99")
      #expect(try await lost.next()?.summary == "reset 6")
      #expect(try await lost.next()?.summary == "snapshot 6 1")
    }
  }

  @Test func aJobsFeedEnds() async throws {
    var limits = FeedLimits()
    limits.endLinger = Seconds(0)
    try await HubFixture.run(limits: limits) { fixture in
      fixture.change((job, .running))
      var client = try await fixture.client("/job?key")
      #expect(try await client.next()?.summary == "snapshot 1 1")
      try await client.send(.subscribe(job: job.rawValue, logs: true, offsets: [:]))
      fixture.log("hello\n")
      #expect(try await client.next()?.summary == "log 1 stdout 0 hello\n")
      fixture.endLogs()
      fixture.change((job, .completed))
      let rest = try await client.rest().map(\.summary)
      #expect(rest.sorted() == ["end 2 completed", "log 1 stderr 0  eof", "log 1 stdout 6  eof"])
      #expect(client.closeCode == 1000)
      var late = try await fixture.client("/job?key")
      #expect(try await late.rest().map(\.summary) == ["snapshot 1 1", "end 2 completed"])
      #expect(late.closeCode == 1000)
      var resumed = try await fixture.client("/job?key&after=2")
      #expect(try await resumed.rest().isEmpty)
      #expect(resumed.closeCode == 1000)
    }
  }

  @Test func logsFromAnOffsetOverTries() async throws {
    try await HubFixture.run { fixture in
      fixture.change((job, .running))
      fixture.log("0123456789")
      var client = try await fixture.client("/account?key")
      _ = try await client.next()
      try await client.send(.subscribe(job: job.rawValue, logs: true, offsets: [.stdout: 4]))
      #expect(try await client.next()?.summary == "log 1 stdout 4 456789")
      fixture.store.state.withLock { $0.tryNumber[job] = 2 }
      fixture.log("again", tryNumber: 2)
      #expect(try await client.next()?.summary == "log 2 stdout 0 again")
      try await client.send(.unsubscribe(job: job.rawValue))
      try await client.send(.ping)
      #expect(try await client.next()?.summary == "pong")
      fixture.log("unseen", tryNumber: 2)
      fixture.change((job, .canceling))
      #expect(try await client.next()?.summary == "status 2 canceling")
    }
  }

  @Test func badMessages() async throws {
    try await HubFixture.run { fixture in
      var client = try await fixture.client("/account?key")
      _ = try await client.next()
      for text in ["", "{", "[]", "{}", #"{"type":"nonsense"}"#, #"{"type":"resume","epoch":1}"#] {
        try await client.stream.send(text: text)
        #expect(try await client.next()?.summary == "error malformed_message", "\(text)")
      }
      try await client.stream.send(binary: .init(bytes: [1]))
      #expect(try await client.rest().isEmpty)
      #expect(client.closeCode == 1003)
    }
  }

  @Test func messageSizeAtTheLimitAndOnePast() async throws {
    try await HubFixture.run { fixture in
      let head = #"{"type":"ping","x":""#
      func message(_ size: Int) -> String { head + String(repeating: "x", count: size - head.utf8.count - 2) + "\"}" }
      var client = try await fixture.client("/account?key")
      _ = try await client.next()
      try await client.stream.send(text: message(65_536))
      #expect(try await client.next()?.summary == "pong")
      try await client.stream.send(text: message(65_537))
      _ = try await client.rest()
      #expect(client.closeCode == 1009)
    }
  }

  @Test func aFailingStoreClosesForLater() async throws {
    try await HubFixture.run { fixture in
      fixture.store.state.withLock { $0.isFailing = true }
      var client = try await fixture.client("/account?key")
      #expect(try await client.rest().isEmpty)
      #expect(client.closeCode == 4013)
    }
  }

  @Test func aGracefulStopSaysWhenToComeBack() async throws {
    try await HubFixture.run { fixture in
      var client = try await fixture.client("/account?key")
      _ = try await client.next()
      fixture.hub.shutdown()
      #expect(try await client.rest().isEmpty)
      #expect(client.closeCode == 1012 && client.stream.closeReason?.reason == "reconnect_after_ms=10000")
      var late = try await fixture.client("/account?key")
      #expect(try await late.rest().isEmpty)
      #expect(late.closeCode == 1012)
    }
  }

  @Test func aFinishedJobsFeedLingers() async throws {
    let clock = ManualClock()
    try await HubFixture.run(clock: clock) { fixture in
      let sweeping = Task { [hub = fixture.hub] in try await hub.run() }
      fixture.change((job, .running), (job, .failed))
      fixture.endLogs()
      var client = try await fixture.client("/job?key")
      #expect(try await client.next()?.summary == "snapshot 1 1")
      #expect(try await client.next()?.summary == "end 2 failed")
      try await client.send(.subscribe(job: job.rawValue, logs: true, offsets: [:]))
      let ends = [try await client.next()?.summary, try await client.next()?.summary]
      #expect(Set(ends) == ["log 1 stderr 0  eof", "log 1 stdout 0  eof"])
      await clock.pass(milliseconds: 1000)
      #expect(try await client.rest().isEmpty)
      #expect(client.closeCode == 1000)
      sweeping.cancel()
      _ = await sweeping.result
    }
  }

  @Test func progressIsCoalesced() async throws {
    let clock = ManualClock()
    try await HubFixture.run(clock: clock) { fixture in
      fixture.change((job, .running))
      var client = try await fixture.client("/account?key")
      _ = try await client.next()
      for percent in 1...30 { fixture.progress(percent) }
      await clock.pass(milliseconds: 25)
      #expect(try await client.next()?.summary == "progress 30")
      // The next one has to wait for its interval; an event in between makes it out of date.
      fixture.progress(40)
      fixture.progress(41)
      await clock.pass(milliseconds: 100)
      #expect(try await client.next()?.summary == "progress 41")
      fixture.progress(99)
      fixture.change((job, .completed))
      await clock.pass(milliseconds: 100)
      fixture.change((Known.job(2), .pending))
      #expect(try await client.next()?.summary == "end 2 completed")
      #expect(try await client.next()?.summary == "status 3 pending")
    }
  }
}

extension ManualClock {
  /// Moves on once somebody sleeps on it.
  fileprivate func pass(milliseconds: Int64) async {
    while sleeperCount == 0 { await Task.yield() }
    advance(by: Seconds(milliseconds: milliseconds))
  }
}
