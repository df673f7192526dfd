import JSON
import LoopbackServer
import Synchronization
import Testing

@testable import aitbc

@Suite struct VerbTests {
  private func answer(_ status: Int, _ body: String) -> LoopbackServer.Answer { { _ in LoopbackAnswer(status, body) } }

  @Test(arguments: [
    (400, "invalid_json", 2), (401, "invalid_api_key", 6), (403, "forbidden", 6), (404, "not_found", 3),
    (409, "state_forbids", 4),
    (409, "run_key_conflict", 5), (410, "results_purged", 3), (413, "body_too_large", 2), (422, "validation_error", 2),
    (425, "not_finished", 4), (429, "rate_limited", 5), (500, "internal", 1), (503, "busy", 5), (504, "x", 7),
    (507, "disk_full", 5),
  ])
  func exitCodes(_ status: Int, _ code: String, _ exit: Int32) async throws {
    try await LoopbackServer.with(answer(status, #"{"detail":"why\u001b[31m","code":"\#(code)"}"#)) { server in
      let outcome = await run("client", "status", "job_1", url: server.url)
      #expect(outcome.code == exit)
      #expect(outcome.output.isEmpty)
      #expect(outcome.errors.hasPrefix("error: why?[31m\n"))
    }
  }

  @Test(arguments: [["job_1"], ["--job-id", "job_1"], ["--job-id=job_1"], ["job_1", "--job-id", "job_1"]])
  func idsMayStandEitherWay(_ words: [String]) async throws {
    try await LoopbackServer.with(answer(200, document())) { server in
      let output = Collector()
      var context = CommandContext(output: output, errors: Collector())
      context.environment = ["AITBC_URL": server.url]
      #expect(await Runner.run(["client", "status"] + words + ["--output", "id"], in: context) == 0)
      #expect(output.text == "job_1\n")
      #expect(server.requests.first?.path == "/v1/jobs/job_1")
    }
  }

  @Test func everyFormatOfStatus() async throws {
    try await LoopbackServer.with(answer(200, document())) { server in
      let json = await run("client", "status", "job_1", "--json", url: server.url)
      let (shown, sent) = (try JSONParser.parse(json.output), try JSONParser.parse(document()))
      #expect(shown == sent)
      let line = await run("client", "status", "job_1", "-o", "jsonl", url: server.url)
      #expect(line.output == document() + "\n")
      let yaml = await run("client", "status", "job_1", "-o", "yaml", url: server.url)
      #expect(yaml.output.hasPrefix("job_id: job_1\n"))
      let table = await run("client", "status", "job_1", url: server.url)
      #expect(table.output.contains("status     completed\n"))
      #expect(table.output.contains("ran        1:30\n"))
      #expect(table.errors.isEmpty)
      let colored = await run("client", "status", "job_1", "--color", "always", url: server.url)
      #expect(colored.output.contains("\u{1B}[32mcompleted\u{1B}[0m"))
    }
  }

  /// The document keeps what the try before came to until the job has ended.
  @Test(arguments: [
    ("pending", 1, "earlier try 1: "), ("assigned", 3, "earlier try 2: "), ("running", 3, "earlier try 2: "),
    ("canceling", 2, "earlier try 1: "), ("failed", 3, ""), ("lost", 3, ""),
  ])
  func anEarlierTrysErrorIsCalledThat(_ status: String, _ number: Int, _ label: String) async throws {
    let text = document(status, #","error":"LOST: the lease ran out""#).replacing(
      "\"try\":1", with: "\"try\":\(number)")
    try await LoopbackServer.with(answer(200, text)) { server in
      let outcome = await run("client", "status", "job_1", url: server.url)
      let line = try #require(outcome.output.split(separator: "\n").first { $0.hasPrefix("error") })
      #expect(line.drop { $0 != " " }.drop { $0 == " " } == label + "LOST: the lease ran out")
    }
  }

  @Test func listsPageAfterPage() async throws {
    let answer: LoopbackServer.Answer = { request in
      request.target.contains("cursor=c2")
        ? LoopbackAnswer(
          200, #"{"jobs":[{"job_id":"b","status":"failed"}],"total":2,"has_more":false,"next_cursor":null}"#)
        : LoopbackAnswer(
          200, #"{"jobs":[{"job_id":"a","status":"running"}],"total":2,"has_more":true,"next_cursor":"c2"}"#)
    }
    try await LoopbackServer.with(answer) { server in
      #expect(await run("client", "list", "--all", "-o", "id", url: server.url).output == "a\nb\n")
      #expect(server.requests.map(\.target) == ["/v1/jobs?limit=500", "/v1/jobs?limit=500&cursor=c2"])
      let one = await run("client", "list", url: server.url)
      #expect(one.errors == "1 of 2 shown; --all for all of them\n")
      #expect(await run("client", "list", "-q", url: server.url).errors.isEmpty)
      let all = try JSONParser.parse(await run("client", "list", "--all", "--json", url: server.url).output)
      #expect(all["jobs"]?.array?.count == 2)
    }
  }

  @Test func aReaderThatLeavesIsNoError() async throws {
    try await LoopbackServer.with(answer(200, #"{"jobs":[{"job_id":"a"},{"job_id":"b"}],"has_more":false}"#)) {
      server in
      let outcome = await run("client", "list", "-o", "id", url: server.url, breaksAfter: 1)
      #expect(outcome.code == 0)
      #expect(outcome.errors.isEmpty)
    }
  }

  @Test func cancelAsksOnlyWhereSomebodyCanAnswer() async throws {
    try await LoopbackServer.with(answer(202, document("canceling"))) { server in
      #expect(await run("client", "cancel", "job_1", url: server.url).code == 2)
      for (reply, code) in [("y", 0), ("YES", 0), ("n", 1), ("", 1), (nil, 1)] as [(String?, Int32)] {
        let outcome = await run("client", "cancel", "job_1", url: server.url) { context in
          context.isInputTerminal = true
          context.readLine = { reply }
        }
        #expect(outcome.code == code)
        #expect(outcome.errors.hasPrefix("Cancel job_1? [y/N] "))
      }
      #expect(server.requests.count == 2)
      let forced = await run(
        "client", "cancel", "--job-id", "job_1", "--force", "--reason", "r", "--grace", "5s", url: server.url)
      #expect(forced.code == 0)
      #expect(forced.output == "job_1 canceling\n")
      #expect(server.requests.last?.body == Array(#"{"reason":"r","grace_seconds":5}"#.utf8))
    }
  }

  @Test(
    arguments: [
      ("completed", 0, 0), ("failed", 1, 3), ("canceled", 1, 1), ("expired", 1, 1), ("lost", 1, 1),
    ] as [(String, Int32, Int32)])
  func watchEndsOnEveryTerminalState(_ status: String, _ code: Int32, _ passedThrough: Int32) async throws {
    let exit = status == "completed" ? "0" : status == "failed" ? "3" : "null"
    let text = document(status).replacing("\"exit_code\":0", with: "\"exit_code\":\(exit)")
    try await LoopbackServer.with(answer(200, text)) { server in
      let outcome = await run("client", "watch", "job_1", url: server.url)
      #expect(outcome.code == code)
      #expect(outcome.output.hasPrefix("job_1 \(status)"))
      #expect(await run("client", "watch", "job_1", "--passthrough", url: server.url).code == passedThrough)
      let json = await run("client", "watch", "job_1", "--json", url: server.url)
      let end = try JSONParser.parse(json.output)
      #expect(end["status"]?.string == status)
    }
  }

  /// Nothing that watch says is wider than the terminal, and nothing of a reason is lost.
  @Test(arguments: [(40, true), (60, true), (40, false)])
  func watchFitsTheTerminal(_ width: Int, _ isTerminal: Bool) async throws {
    let reason = "EXIT_NONZERO: exit code 3, after a long time in which much was tried"
    let miner = "miner_01k2z0000000000000000000bb"
    let asked = Mutex(0)
    let answer: LoopbackServer.Answer = { request in
      guard request.path == "/v1/jobs/job_1" else { return LoopbackAnswer(200, "{}") }
      let isFirst = asked.withLock { count in
        count += 1
        return count == 1
      }
      return LoopbackAnswer(
        200, isFirst ? document("running", #","miner_id":"\#(miner)""#) : document("failed", #","error":"\#(reason)""#))
    }
    try await LoopbackServer.with(answer) { server in
      let outcome = await run("client", "watch", "job_1", url: server.url) { context in
        (context.isOutputTerminal, context.width) = (isTerminal, width)
        context.environment["NO_COLOR"] = "1"
      }
      let lines = outcome.output.split(separator: "\n")
      #expect(lines.contains { $0.contains("running on miner_") }, "\(outcome)")
      #expect(lines.allSatisfy { $0.count <= width } == isTerminal, "\(lines)")
      #expect(lines.contains { $0.hasSuffix("running on \(miner)") } == (!isTerminal || width > 50))
      let words = outcome.output.split { $0.isWhitespace }.joined(separator: " ")
      #expect(words.contains(reason))
    }
  }

  @Test func watchingWhatIsNotThere() async throws {
    try await LoopbackServer.with(answer(404, #"{"detail":"job not found","code":"not_found"}"#)) { server in
      #expect(await run("client", "watch", "job_9", url: server.url).code == 3)
    }
  }

  @Test func theLocalKeyFileIsTheDefault() async throws {
    try await TemporaryFolder.with { folder in
      try SmallFile.makeFolder(folder + "/keys")
      try TemporaryFolder.write(Array("ak_local\n".utf8), to: folder + "/keys/client.key")
      try await LoopbackServer.with(answer(200, document())) { server in
        let environment = ["AITBC_API_KEY": ""]
        _ = await run("client", "get", "job_1", url: server.url, folder: folder, environment: environment)
        _ = await run(
          "client", "get", "job_1", "--api-key", "ak_flag", url: server.url, folder: folder, environment: environment)
        _ = await run(
          "client", "get", "job_1", url: server.url, folder: folder, environment: ["AITBC_API_KEY": "ak_env"])
        #expect(server.requests.map { $0[header: "X-Api-Key"] } == ["ak_local", "ak_flag", "ak_env"])
      }
    }
  }

  @Test func unreachable() async throws {
    let url: String = try await LoopbackServer.with(answer(200, "")) { $0.url }
    let outcome = await run("client", "list", url: url)
    #expect(outcome.code == 7)
    #expect(outcome.errors.contains("connection refused"))
    #expect(outcome.errors.contains("hint: "))
  }
}
