import JSON
import LoopbackServer
import Marketplace
import Synchronization
import Testing
import Wire

@testable import MarketplaceClient

@Suite struct TransportTests {
  @Test func submitIsRetriedUnderOneKey() async throws {
    let calls = Mutex(0)
    let answer: LoopbackServer.Answer = { _ in
      let number = calls.withLock { count in
        count += 1
        return count
      }
      switch number {
      case 1: return LoopbackAnswer(503, #"{"detail":"busy","code":"busy"}"#, headers: [("Retry-After", "2")])
      case 2: return LoopbackAnswer(200, String(repeating: "x", count: 100), cutAfter: 10)
      default: return LoopbackAnswer(201, #"{"job_id":"job_1","status":"pending"}"#)
      }
    }
    let clock = HurriedClock()
    try await LoopbackServer.with(answer) { server in
      let job = try await withClient(server.url, clock: clock) { try await $0.submit(["command": ["true"]]) }
      #expect(job.id == "job_1")
      #expect(server.requests.count == 3)
      let keys = Set(server.requests.map { $0[header: "Idempotency-Key"] })
      #expect(keys.count == 1)
      #expect(keys.first??.isEmpty == false)
      #expect(Set(server.requests.map { $0[header: "X-Request-ID"] }).count == 1)
      #expect(
        server.requests.allSatisfy { $0[header: "X-Api-Key"] == "ak_test" && $0[header: "User-Agent"] == "aitbc" })
      #expect(server.requests.allSatisfy { $0.body == Array(#"{"command":["true"]}"#.utf8) })
      #expect(clock.slept >= 2000)
    }
  }

  @Test func twoCallsHaveTwoKeysAndReadsHaveNone() async throws {
    try await LoopbackServer.with({ _ in LoopbackAnswer(200, #"{"job_id":"job_1"}"#) }) { server in
      try await withClient(server.url) { client in
        _ = try await client.submit([:])
        _ = try await client.submit([:])
        _ = try await client.job("job_1")
      }
      let keys = server.requests.map { $0[header: "Idempotency-Key"] }
      #expect(keys[0] != keys[1])
      #expect(keys[2] == nil)
    }
  }

  @Test func aProblemIsTypedAndNotRetried() async throws {
    let text = #"{"detail":"env/1A: bad","code":"validation_error","errors":[{"pointer":"/env/1A","message":"bad"}]}"#
    try await LoopbackServer.with({ _ in LoopbackAnswer(422, text) }) { server in
      do {
        _ = try await withClient(server.url) { try await $0.submit([:]) }
        Issue.record("no error")
      } catch let error as ClientError {
        guard case .problem(let problem) = error else { _ = Issue.record("\(error)"); return }
        #expect(problem.status == 422)
        #expect(problem.errors == [FieldError("/env/1A", "bad")])
      }
      #expect(server.requests.count == 1)
    }
  }

  @Test func attemptsEnd() async throws {
    try await LoopbackServer.with({ _ in LoopbackAnswer(500, "oops") }) { server in
      await #expect(throws: ClientError.self) { try await withClient(server.url) { try await $0.job("x") } }
      #expect(server.requests.count == 5)
    }
  }

  @Test func theCallTimeoutEndsRetriesEarly() async throws {
    try await LoopbackServer.with({ _ in LoopbackAnswer(503, "{}", headers: [("Retry-After", "20")]) }) { server in
      do {
        _ = try await withClient(server.url, change: { $0.callTimeout = Seconds(30) }) { try await $0.job("x") }
        Issue.record("no error")
      } catch let error as ClientError {
        guard case .timedOut(let limit, .problem(let last)?) = error else { _ = Issue.record("\(error)"); return }
        #expect(limit == Seconds(30))
        #expect(last.status == 503)
      }
      #expect(server.requests.count == 2)
    }
  }

  @Test func redirectsAreNotFollowedAndKeysStaySecret() async throws {
    try await LoopbackServer.with({ _ in LoopbackAnswer(302, "", headers: [("Location", "http://127.0.0.1:1/")]) }) {
      server in
      do {
        _ = try await withClient(server.url, key: "ak_very_secret") { try await $0.job("x") }
        Issue.record("no error")
      } catch {
        #expect(!"\(error)".contains("ak_very_secret"))
        #expect("\(error)".contains("redirects"))
      }
      #expect(server.requests.count == 1)
    }
  }

  @Test func nobodyListening() async throws {
    // A port that was free a moment ago.
    let url: String = try await LoopbackServer.with({ _ in LoopbackAnswer(200) }) { $0.url }
    do {
      _ = try await withClient(url, key: "ak_very_secret") { try await $0.job("x") }
      Issue.record("no error")
    } catch let error as ClientError {
      guard case .unreachable(let named, let reason) = error else { _ = Issue.record("\(error)"); return }
      #expect(named == url)
      #expect(reason == "connection refused")
    }
  }

  @Test func aBodyThatIsNoJSONIsToldAsSuch() async throws {
    try await LoopbackServer.with({ _ in LoopbackAnswer(200, "<html>") }) { server in
      await #expect(throws: ClientError.self) { try await withClient(server.url) { try await $0.job("x") } }
    }
  }

  @Test func answersHaveALimit() async throws {
    try await LoopbackServer.with({ _ in LoopbackAnswer(200, "\"" + String(repeating: "a", count: 98) + "\"") }) {
      server in
      for (limit, isTaken) in [(100, true), (99, false)] {
        let answer = try? await withClient(server.url, change: { $0.maximumAnswerBytes = limit }) {
          try await $0.transport.call(APIRequest(.get, APIPath("x")))
        }
        #expect((answer != nil) == isTaken)
      }
    }
  }

  @Test func listsCarryEveryFilter() async throws {
    try await LoopbackServer.with({ _ in
      LoopbackAnswer(200, #"{"jobs":[{"job_id":"a"}],"total":9,"has_more":true,"next_cursor":"c2"}"#)
    }) { server in
      var filter = JobFilter()
      filter.statuses = ["running", "failed"]
      filter.labels = ["a=b c", "d=e"]
      filter.search = "x&y"
      filter.days = 7
      filter.from = "2026-01-01"
      filter.to = "2026-01-31"
      filter.sort = "-created_at"
      filter.limit = 5
      filter.cursor = "c1"
      let page = try await withClient(server.url) { [filter] in try await $0.jobs(filter) }
      #expect(page.jobs.map(\.id) == ["a"])
      #expect(page.total == 9)
      #expect(page.nextCursor == "c2")
      #expect(
        server.requests.first?.target
          == "/v1/jobs?status=running%2Cfailed&label=a%3Db%20c&label=d%3De&q=x%26y&days=7&from=2026-01-01&to=2026-01-31&sort=-created_at&limit=5&cursor=c1"
      )
    }
  }
}
