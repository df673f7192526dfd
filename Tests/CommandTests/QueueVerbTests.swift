import JSON
import LoopbackServer
import Testing

@testable import aitbc

/// Reruns, unlocks, the queue, and canceling many.
@Suite struct QueueVerbTests {
  private func answer(_ status: Int, _ body: String) -> LoopbackServer.Answer { { _ in LoopbackAnswer(status, body) } }

  @Test func rerunByIdAndByKey() async throws {
    let answers: LoopbackServer.Answer = { request in
      request.path.hasPrefix("/v1/run-keys/")
        ? LoopbackAnswer(200, #"{"run_key":"night/7","latest_job_id":"job_9","attempts":[]}"#)
        : LoopbackAnswer(201, document("pending"))
    }
    try await LoopbackServer.with(answers) { server in
      for words in [["job_9"], ["--job-id", "job_9"], ["night/7"], ["--run-key", "night/7"]] {
        let outcome = await run(["client", "rerun", "--reason", "why"] + words, url: server.url)
        #expect(outcome.code == 0 && outcome.output == "job_1\n")
        #expect(server.requests.last?.path == "/v1/jobs/job_9/rerun")
        #expect(server.requests.last?.body == Array(#"{"reason":"why"}"#.utf8))
      }
      #expect(server.requests.contains { $0.target == "/v1/run-keys/night%2F7?limit=1" })
    }
  }

  @Test(arguments: [["rerun"], ["rerun", "a", "--job-id", "b"], ["rerun", "a", "--passthrough"], ["unlock", ""]])
  func wrongUseOfAttempts(_ words: [String]) async {
    #expect(await run(["client"] + words, url: "http://127.0.0.1:1").code == 2)
  }

  @Test func unlockOfAJobsKey() async throws {
    let answers: LoopbackServer.Answer = { request in
      request.method == "GET"
        ? LoopbackAnswer(200, document("completed", #","run_key":"k""#))
        : LoopbackAnswer(200, #"{"run_key":"k","strict_override":{"expires_at":"2026-02-13T10:00:00.000Z"}}"#)
    }
    try await LoopbackServer.with(answers) { server in
      let outcome = await run(["client", "unlock", "job_1", "--ttl", "30m"], url: server.url)
      #expect(outcome.output == "k unlocked for one run until 2026-02-13T10:00:00.000Z\n")
      #expect(server.requests.last?.path == "/v1/run-keys/k/unlock")
      #expect(server.requests.last?.body == Array(#"{"ttl":"1800s"}"#.utf8))
    }
  }

  @Test func aJobWithoutAKeyCanNotBeUnlocked() async throws {
    try await LoopbackServer.with(answer(200, document())) { server in
      #expect(await run(["client", "unlock", "job_1"], url: server.url).code == 4)
    }
  }

  @Test(arguments: [
    (["--top"], #"{"job_id":"job_1","top":true}"#), (["--bottom"], #"{"job_id":"job_1","bottom":true}"#),
    (["--before", "job_2"], #"{"job_id":"job_1","before":"job_2"}"#),
    (["--after", "job_2"], #"{"job_id":"job_1","after":"job_2"}"#),
  ])
  func moves(_ words: [String], _ body: String) async throws {
    let moved = document("pending", #","queue_position":1001,"queue_position_is_minimum":true,"priority":"high""#)
    try await LoopbackServer.with(answer(200, moved)) { server in
      let outcome = await run(["client", "move", "job_1"] + words, url: server.url)
      #expect(outcome.output == "job_1 high position 1001+\n")
      #expect(server.requests.last?.body == Array(body.utf8))
    }
  }

  @Test func anotherPriorityIsAPatch() async throws {
    try await LoopbackServer.with(answer(200, document("pending"))) { server in
      #expect(await run(["client", "move", "job_1", "--priority", "high"], url: server.url).code == 0)
      #expect(server.requests.last?.method == "PATCH" && server.requests.last?.path == "/v1/jobs/job_1")
    }
  }

  @Test func cancelManyAsksFirst() async throws {
    let found = #"{"matched":2,"errors":0,"has_more":false,"items":[{"job_id":"a","outcome":"canceled"}]}"#
    try await LoopbackServer.with(answer(200, found)) { server in
      #expect(await run(["client", "cancel", "--status", "pending"], url: server.url).code == 2)
      #expect(server.requests.isEmpty)
      let asked = await run(["client", "cancel", "--label", "a=b", "--status", "pending"], url: server.url) { context in
        context.isInputTerminal = true
        context.readLine = { "y" }
      }
      #expect(asked.errors.hasPrefix("Cancel 2 jobs? [y/N] ") && asked.output == "a canceled\n")
      #expect(
        server.requests.map { String(decoding: $0.body, as: UTF8.self) } == [
          #"{"status":"pending","labels":{"a":"b"},"dry_run":true}"#, #"{"status":"pending","labels":{"a":"b"}}"#,
        ])
    }
  }

  @Test(arguments: [
    [], ["a", "--all"], ["--run-key", "k", "--all"], ["--all", "--limit", "0"], ["--status", "nope"],
  ]) func wrongUseOfCancel(_ words: [String]) async {
    #expect(await run(["client", "cancel", "--force"] + words, url: "http://127.0.0.1:1").code == 2)
  }
}
