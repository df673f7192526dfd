import Cryptography
import Glibc
import JSON
import LoopbackServer
import Testing

@testable import aitbc

@Suite struct SubmitTests {
  /// Runs `submit` and returns the body that was sent.
  private func body(_ arguments: [String], folder: String = "/nonexistent") async throws -> (
    body: JSONValue?, outcome: Outcome
  ) {
    try await LoopbackServer.with({ request in
      switch request.method {
      case "HEAD": LoopbackAnswer(404)
      case "PUT": LoopbackAnswer(201)
      default: LoopbackAnswer(201, #"{"job_id":"job_1","status":"pending"}"#)
      }
    }) { server in
      let output = Collector()
      let errors = Collector()
      var context = CommandContext(output: output, errors: errors)
      context.environment = ["AITBC_URL": server.url, "AITBC_API_KEY": "k"]
      context.workingDirectory = folder
      context.clock = StillClock()
      let code = await Runner.run(["client", "submit"] + arguments, in: context)
      let sent = server.requests.last { $0.method == "POST" }.flatMap { try? JSONParser.parse($0.body) }
      return (sent, Outcome(code: code, output: output.text, errors: errors.text))
    }
  }

  @Test(
    arguments: [
      (["--", "python3", "a.py", "--flag"], #"{"command":["python3","a.py","--flag"]}"#),
      (["--type", "noop"], #"{"payload":{"type":"noop"}}"#), (["noop"], #"{"payload":{"type":"noop"}}"#),
      (["--type", "noop", "--payload", #"{"a":1}"#], #"{"payload":{"a":1,"type":"noop"}}"#),
      (["--model", "m", "--prompt", "p"], #"{"model":"m","prompt":"p"}"#),
      (["inference", "--prompt", "p"], #"{"payload":{"type":"inference","prompt":"p"}}"#),
      (["--model", "m", "--input", "some text"], #"{"model":"m","input":"some text"}"#),
      (
        ["--model", "m", "--input", "t", "--output", "./results"],
        #"{"model":"m","input":"t","output_config":{"path":"./results"}}"#
      ),
      (
        [
          "--gpu", "A100", "--gpu-count", "4", "--min-vram-gb", "24", "--cuda", "12.4", "--region", "eu", "--max-price",
          "2.5",
          "--cpus", "8", "--memory-mb", "1024", "--network", "--miner-label", "a=b", "--", "x",
        ],
        #"{"command":["x"],"constraints":{"gpu":"A100","cuda":"12.4","region":"eu","max_price":"2.5","gpu_count":4,"min_vram_gb":24,"cpus":8,"memory_mb":1024,"labels":{"a":"b"},"network":true}}"#
      ),
      (
        [
          "--name", "n", "--label", "a=b=c", "--priority", "high", "--ttl", "30m", "--timeout", "2h", "--max-tries",
          "2",
          "--run-key", "k", "--strict", "--not-before", "2026-01-01T00:00:00Z", "--fail-fast", "--env", "A=1", "--env",
          "B=",
          "--artifact", "out", "--", "x",
        ],
        #"{"command":["x"],"env":{"A":"1","B":""},"artifacts":["out"],"name":"n","labels":{"a":"b=c"},"priority":"high","ttl_seconds":1800,"timeout_seconds":7200,"max_tries":2,"run_key":"k","strict":true,"not_before":"2026-01-01T00:00:00Z","fail_fast":true}"#
      ),
    ] as [([String], String)])
  func bodies(_ arguments: [String], _ wanted: String) async throws {
    let (body, outcome) = try await body(arguments)
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(outcome.output == "job_1\n")
    #expect(body?.text == wanted)
  }

  @Test func inputsAreSentAndNamed() async throws {
    try await TemporaryFolder.with { folder in
      try SmallFile.makeFolder(folder + "/data/deep")
      try TemporaryFolder.write(Array("a".utf8), to: folder + "/train.py")
      try TemporaryFolder.write(Array("b".utf8), to: folder + "/data/one.csv")
      try TemporaryFolder.write(Array("c".utf8), to: folder + "/data/deep/two.csv")
      try TemporaryFolder.write(Array("d".utf8), to: folder + "/with:colon")
      let (body, outcome) = try await body(
        [
          "--input", "train.py", "--input", "./data", "--input", "with:colon", "--input",
          folder + "/train.py:lib/other.py", "--", "x",
        ],
        folder: folder)
      #expect(outcome.code == 0, "\(outcome.errors)")
      let inputs = body?["inputs"]?.array ?? []
      #expect(
        inputs.map { $0["path"]?.string } == [
          "train.py", "data/deep/two.csv", "data/one.csv", "with:colon", "lib/other.py",
        ])
      #expect(inputs.first?["sha256"]?.string == SHA256.hash(Array("a".utf8)).hex)
      let twice = try await self.body(
        ["--input", "train.py", "--input", "data/one.csv:train.py", "--", "x"], folder: folder)
      #expect(twice.outcome.code == 2)
      #expect(twice.body == nil)
    }
  }

  @Test(arguments: [
    ("a", "a"), ("./a", "a"), ("a/b", "a/b"), ("a//b/", "a/b"), ("/a/b", "b"), ("../a", "a"), ("a/../b", "b"),
    (".", ""), ("..", ""), ("/", ""),
  ])
  func whereInputsGo(_ path: String, _ target: String) { #expect(InputCollector.target(of: path) == target) }

  @Test func aLinkThatLeadsNowhereIsCalledOne() async throws {
    try await TemporaryFolder.with { folder in
      symlink("nowhere", folder + "/lock")
      var collector = InputCollector(CommandContext(output: Collector(), errors: Collector()))
      let failure = #expect(throws: CommandFailure.self) { try collector.add(folder + "/lock") }
      #expect(
        failure?.message == "--input \(folder)/lock: a link whose target can't be read: No such file or directory")
    }
  }

  @Test func aJobFileIsTheBase() async throws {
    try await TemporaryFolder.with { folder in
      try TemporaryFolder.write(
        Array(#"{"command":["old"],"name":"n","labels":{"a":"1"},"constraints":{"gpu":"V100","cuda":"11"}}"#.utf8),
        to: folder + "/job.json")
      let (body, _) = try await body(
        ["--file", "job.json", "--label", "b=2", "--gpu", "A100", "--", "new"], folder: folder)
      #expect(
        body?.text
          == #"{"command":["new"],"name":"n","labels":{"a":"1","b":"2"},"constraints":{"gpu":"A100","cuda":"11"}}"#)
    }
  }

  @Test(arguments: [
    #"[{"command":["a"]},{"command":["b"]}]"#, "{\"command\":[\"a\"]}\n\n{\"command\":[\"b\"]}\n",
    #"{"jobs":[{"command":["a"]},{"command":["b"]}]}"#,
  ])
  func batches(_ text: String) async throws {
    try await TemporaryFolder.with { folder in
      try TemporaryFolder.write(Array(text.utf8), to: folder + "/b")
      try await LoopbackServer.with({ _ in LoopbackAnswer(201, #"{"jobs":[{"job_id":"x"},{"job_id":"y"}]}"#) }) {
        server in
        let outcome = await run("client", "submit", "--batch", "b", url: server.url, folder: folder)
        #expect(outcome.output == "x\ny\n")
        #expect(server.requests.first?.path == "/v1/jobs:batch")
        #expect(server.requests.first?.body == Array(#"{"jobs":[{"command":["a"]},{"command":["b"]}]}"#.utf8))
      }
    }
  }

  @Test func aDryRunSendsNoFiles() async throws {
    try await TemporaryFolder.with { folder in
      try TemporaryFolder.write([1], to: folder + "/f")
      try await LoopbackServer.with({ _ in LoopbackAnswer(200, #"{"could_run":true}"#) }) { server in
        let outcome = await run(
          "client", "submit", "--dry-run", "--input", "f", "--", "x", url: server.url, folder: folder)
        #expect(outcome.output == "could_run: true\n")
        #expect(server.requests.map(\.target) == ["/v1/jobs?dry_run=1"])
      }
    }
  }

  /// The exact line to type, with the `--` before the first word that is no option's value.
  @Test(arguments: [
    ("echo hi", "-- echo hi"), ("ls -la", "-- ls -la"),
    ("--gpu A100 --input a python3 train.py --epochs 3", "--gpu A100 --input a -- python3 train.py --epochs 3"),
    ("--wait sh -c", "--wait -- sh -c"),
  ])
  func aMissingTerminatorIsHintedAt(_ given: String, _ wanted: String) async throws {
    let (body, outcome) = try await body(given.split(separator: " ").map(String.init))
    #expect(outcome.code == 2 && outcome.output.isEmpty && body == nil)
    #expect(outcome.errors.hasSuffix("hint: the command stands behind --: aitbc client submit \(wanted)\n"))
  }

  @Test func theHintIsQuotedAndOnlyWhereItHelps() async throws {
    let (_, quoted) = try await body(["sh", "-c", "echo 'a' $B"])
    #expect(quoted.errors.hasSuffix(#"submit -- sh -c 'echo '\''a'\'' $B'"# + "\n"))
    for words in [["--ttl", "1y", "x"], ["--bogus", "--", "x"], ["--gpu"]] {
      let (_, outcome) = try await body(words)
      #expect(outcome.code == 2 && !outcome.errors.contains("hint:"), "\(words): \(outcome.errors)")
    }
  }

  /// Quiet: the id alone, whatever becomes of the job; its logs go on.
  @Test func waitingQuietlyPrintsTheIdAlone() async throws {
    let answer: LoopbackServer.Answer = { request in
      request.method == "POST"
        ? LoopbackAnswer(201, #"{"job_id":"job_1","status":"pending"}"#) : LoopbackAnswer(200, document("failed"))
    }
    try await LoopbackServer.with(answer) { server in
      let outcome = await run("client", "submit", "--wait", "-q", "--", "x", url: server.url)
      #expect((outcome.code, outcome.output, outcome.errors) == (1, "job_1\n", ""))
      // The end of the watching is `watch`'s own answer.
      #expect(await run("client", "watch", "-q", "job_1", url: server.url).output.hasPrefix("job_1 failed"))
    }
  }

  @Test func waitingPrintsTheIdAndExitsLikeWatch() async throws {
    let answer: LoopbackServer.Answer = { request in
      request.method == "POST"
        ? LoopbackAnswer(201, #"{"job_id":"job_1","status":"pending"}"#)
        : LoopbackAnswer(200, document("failed").replacing("\"exit_code\":0", with: "\"exit_code\":3"))
    }
    try await LoopbackServer.with(answer) { server in
      let outcome = await run("client", "submit", "--wait", "--", "x", url: server.url)
      #expect(outcome.code == 1)
      #expect(outcome.output == "job_1\n")
      #expect(outcome.errors.contains("job_1 failed"))
      #expect(await run("client", "submit", "--wait", "--passthrough", "--", "x", url: server.url).code == 3)
    }
  }
}
