import JSON
import LoopbackServer
import Testing

@testable import aitbc

/// Sharing, removing, exporting: what is sent, what is asked, what is written.
@Suite struct ResultVerbTests {
  private func answer(_ status: Int, _ body: String) -> LoopbackServer.Answer { { _ in LoopbackAnswer(status, body) } }

  @Test func shareWritesTheLinkAlone() async throws {
    let body =
      #"{"url":"http://h/share/sh_1","share_id":"share_1","expires_at":"2026-02-20T10:00:00.000Z","max_downloads":3}"#
    try await LoopbackServer.with(answer(201, body)) { server in
      let outcome = await run(
        "client", "share", "--job-id", "job_1", "--expires", "7d", "--max-downloads", "3", url: server.url)
      #expect(outcome.output == "http://h/share/sh_1\n")
      #expect(outcome.errors == "works until 2026-02-20T10:00:00.000Z, for 3 downloads\n")
      #expect(server.requests.first?.path == "/v1/jobs/job_1/share")
      #expect(server.requests.first?.body == Array(#"{"expires":"604800s","max_downloads":3}"#.utf8))
      #expect(await run("client", "share", "job_1", "-o", "id", url: server.url).output == "share_1\n")
      #expect(server.requests.last?.body == Array("{}".utf8))
      #expect(await run("client", "share", "job_1", "--max-downloads", "0", url: server.url).code == 2)
      #expect(server.requests.count == 2)
    }
  }

  @Test(arguments: [
    ["job_1", "share_2"], ["--job-id", "job_1", "share_2"], ["--job-id", "job_1", "--share-id", "share_2"],
    ["share_2", "job_1"],
  ])
  func unshareTakesItsTwoNamesEitherWay(_ words: [String]) async throws {
    try await LoopbackServer.with(answer(204, "")) { server in
      var context = CommandContext(output: Collector(), errors: Collector())
      context.environment = ["AITBC_URL": server.url]
      #expect(await Runner.run(["client", "unshare"] + words, in: context) == 0)
      #expect(server.requests.map(\.path) == ["/v1/jobs/job_1/shares/share_2"])
    }
  }

  @Test func unshareNeedsToKnowWhich() async throws {
    for words in [["job_1"], ["share_1"], ["job_1", "share_1", "--all"], ["job_1", "job_2", "share_1"]] {
      let context = CommandContext(output: Collector(), errors: Collector())
      #expect(await Runner.run(["client", "unshare"] + words, in: context) == 2, "\(words)")
    }
  }

  @Test func deleteAsksOnATerminalOnly() async throws {
    try await LoopbackServer.with(answer(200, #"{"job_id":"job_1","errors":0}"#)) { server in
      #expect(await run("client", "delete", "job_1", url: server.url).output == "job_1 results removed\n")
      for (reply, code) in [("y", 0), ("n", 1), (nil, 1)] as [(String?, Int32)] {
        let outcome = await run("client", "delete", "job_1", url: server.url) { context in
          context.isInputTerminal = true
          context.readLine = { reply }
        }
        #expect(outcome.code == code)
      }
      let forced = await run("client", "delete", "job_1", "--force", url: server.url) { $0.isInputTerminal = true }
      #expect(forced.code == 0 && forced.errors.isEmpty)
      #expect(server.requests.count == 3)
    }
  }

  @Test func cleanGoesOnUntilNothingIsLeft() async throws {
    let answer: LoopbackServer.Answer = { request in
      let isSecond = String(decoding: request.body, as: UTF8.self).contains("cursor")
      return isSecond
        ? LoopbackAnswer(200, #"{"deleted":1,"errors":1,"dry_run":false,"items":[{"job_id":"b"}],"has_more":false}"#)
        : LoopbackAnswer(
          200, #"{"deleted":1,"errors":0,"dry_run":false,"items":[{"job_id":"a"}],"has_more":true,"next_cursor":"a"}"#)
    }
    try await LoopbackServer.with(answer) { server in
      let outcome = await run("client", "clean", "--all", "--force", "--json", url: server.url)
      let shown = try JSONParser.parse(outcome.output)
      let expected: JSONValue = [
        "deleted": 2, "errors": 1, "dry_run": false, "items": [["job_id": "a"], ["job_id": "b"]],
      ]
      #expect(shown == expected)
      #expect(
        server.requests.map { String(decoding: $0.body, as: UTF8.self) } == [
          #"{"all":true}"#, #"{"all":true,"cursor":"a"}"#,
        ])
    }
  }

  @Test(arguments: [
    [], ["--run-key", "k"], ["--before", "soon"], ["--all", "--before", "2026-01-01"],
    ["--after", "2026-02-01", "--before", "2026-01-01"], ["--status", "purple"],
  ])
  func cleanRefuses(_ words: [String]) async {
    let context = CommandContext(output: Collector(), errors: Collector())
    #expect(await Runner.run(["client", "clean"] + words, in: context) == 2)
  }

  @Test func anExportIsThereWholeOrNotAtAll() async throws {
    try await TemporaryFolder.with { folder in
      try await LoopbackServer.with(answer(200, "{\"jobs\":[]}")) { server in
        let outcome = await run(
          "client", "export", "--output", "a/jobs.json", "--status", "failed", url: server.url, folder: folder)
        #expect(outcome.code == 0 && outcome.output.isEmpty)
        let written = try SmallFile.read(folder + "/a/jobs.json", limit: 100)
        #expect(written == Array("{\"jobs\":[]}".utf8))
        #expect(server.requests.first?.target == "/v1/jobs/export?format=json&status=failed")
        #expect(await run("client", "export", "--format", "csv", "-o", "-", url: server.url).output == "{\"jobs\":[]}")
      }
      let cut: LoopbackServer.Answer = { _ in LoopbackAnswer(200, "{\"jobs\":[]}", cutAfter: 4) }
      try await LoopbackServer.with(cut) { server in
        let outcome = await run("client", "export", "--output", "b/jobs.json", url: server.url, folder: folder)
        #expect(outcome.code == 7)
        #expect(!SmallFile.exists(folder + "/b/jobs.json"))
      }
    }
  }

  @Test func figuresAsPeopleReadThem() async throws {
    let body = """
      {"submitted":13,"by_status":{"completed":12,"failed":1,"lost":0},"success_rate":0.9231,\
      "average_completion_seconds":1.250,"total_spent":"0.500000"}
      """
    try await LoopbackServer.with(answer(200, body)) { server in
      let outcome = await run("client", "stats", url: server.url)
      #expect(
        outcome.output == """
          submitted           13
          success rate        92.31 %
          average completion  1.250 s
          total spent         0.500000
          completed           12
          failed              1

          """)
    }
    let none =
      #"{"submitted":0,"by_status":{},"success_rate":null,"average_completion_seconds":null,"total_spent":"0.000000"}"#
    try await LoopbackServer.with(answer(200, none)) { server in
      #expect(await run("client", "stats", url: server.url).output.contains("success rate        -\n"))
    }
  }
}
