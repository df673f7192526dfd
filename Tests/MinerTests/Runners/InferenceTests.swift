import Clocks
import Foundation
import JSON
import Marketplace
import MarketplaceClient
import Testing
import TestRandomness
import Wire

@testable import Miner

@Suite("Inference runner")
struct InferenceTests {
  private func request(_ payload: JSONValue) -> JSONValue? {
    InferenceRunner.request(for: payload.object ?? JSONObject())
  }

  @Test func `prompt, input and messages become messages`() {
    let user: JSONValue = ["role": "user", "content": "hi"]
    let expected: JSONValue = ["model": "m", "messages": [user], "stream": false]
    #expect(request(["type": "inference", "model": "m", "prompt": "hi"]) == expected)
    #expect(request(["model": "m", "input": "hi"]) == expected)
    #expect(request(["model": "m", "input": ["prompt": "hi"]]) == expected)
    #expect(request(["model": "m", "messages": [user], "prompt": "not this"]) == expected)
    let system: JSONValue = ["role": "system", "content": "be brief"]
    #expect(
      request(["model": "m", "prompt": "hi", "system": "be brief", "temperature": 1, "secret": "x"])
        == ["model": "m", "messages": [system, user], "temperature": 1, "stream": false])
    #expect(request(["model": "m", "input": ["a": 1]])?["messages"]?.array?.first?["content"]?.string == #"{"a":1}"#)
  }

  @Test(
    arguments: [[:], ["model": "m"], ["prompt": "x"], ["model": "", "prompt": "x"], ["model": "m", "messages": []]]
      as [JSONValue])
  func `what can't be asked is refused`(payload: JSONValue) { #expect(request(payload) == nil) }

  @Test func `the answer is the result and goes to stdout`() async throws {
    let (result, output, requests) = try await run(timeout: Seconds(20)) { _ in
      let answer: JSONValue = [
        "model": "m-1", "choices": [["message": ["role": "assistant", "content": "4 ✓"], "finish_reason": "stop"]],
        "usage": ["total_tokens": 7],
      ]
      return StubServer.Answer(body: answer.encoded)
    }
    #expect(result.outcome == .completed && output == Array("4 ✓".utf8))
    #expect(
      result.result
        == ["text": "4 ✓", "model": "m-1", "finish_reason": "stop", "usage": ["total_tokens": 7]])
    #expect(requests.first?.path == "/v1/chat/completions")
    #expect(requests.first?.headers["authorization"] == "Bearer key")
    #expect(requests.first?.headers["x-api-key"] == nil)
  }

  @Test func `an error of the service is the job's`() async throws {
    let (result, _, _) = try await run(timeout: Seconds(20)) { _ in
      StubServer.Answer(status: 400, body: Array(#"{"error":{"message":"no such model"}}"#.utf8))
    }
    guard case .failed(let error) = result.outcome else {
      Issue.record("it completed")
      return
    }
    #expect(error.code == .runnerFailed)
  }

  @Test func `a service that says nothing runs into the timeout`() async throws {
    let (result, _, _) = try await run(timeout: Seconds(milliseconds: 100)) { _ in StubServer.Answer(isSilent: true) }
    guard case .failed(let error) = result.outcome else {
      Issue.record("it completed")
      return
    }
    #expect(error.code == .timeout && !result.wasStopped)
  }

  @Test func `a cancel ends the question at once`() async throws {
    let (result, _, _) = try await run(timeout: Seconds(60), stop: .terminate(grace: Seconds(30))) { _ in
      StubServer.Answer(isSilent: true)
    }
    #expect(result.wasStopped)
  }

  private func run(
    timeout: Seconds, stop: RunControl.Request? = nil,
    _ answer: @escaping @Sendable (StubServer.Request) -> StubServer.Answer
  ) async throws -> (RunResult, [UInt8], [StubServer.Request]) {
    let server = try await StubServer.start(answer)
    let transport = HTTPTransport(ClientConfiguration(url: try CoordinatorURL("http://127.0.0.1:\(server.port)")))
    let folder = try TemporaryFolder()
    let spool = try LogSpool(path: folder.path + "/out")
    let other = try LogSpool(path: folder.path + "/err")
    var specification = JobSpecification(
      runner: "inference", payload: JSONObject([("model", "m"), ("prompt", "2+2")]))
    specification.timeout = timeout
    var generator = SeededGenerator(seed: 1)
    let control = RunControl()
    let context = RunContext(
      assignment: Assignment(
        job: JobID(at: Timestamp(milliseconds: 0), using: &generator), tryNumber: 1, attempt: 1, lease: "l",
        leaseMilliseconds: 1, specification: specification),
      directory: JobDirectory(path: folder.path, marker: "m"),
      stdout: OutputSink(stream: .stdout, spool: spool) { _ in },
      stderr: OutputSink(stream: .stderr, spool: other) { _ in }, control: control, gpus: [], started: {},
      progress: { _ in })
    let runner = InferenceRunner(transport: transport, key: "key", clock: SystemClock())
    if let stop { control.request(stop) }
    let result = await runner.run(context)
    await transport.shutdown()
    await server.stop()
    return (result, try spool.read(from: 0), server.requests)
  }
}
