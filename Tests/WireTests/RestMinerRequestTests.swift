import JSON
import Marketplace
import Testing
import Wire

@Suite struct RestMinerRequestTests {
  private func json(_ text: String) throws -> JSONValue { try JSONParser.parse(text) }

  @Test func registration() throws {
    let plain = try RegisterRequest(json("{}"))
    #expect(plain.offer.runners == ["*"] && plain.offer.slots == 1 && plain.name == nil && !plain.isFresh)
    let full = try RegisterRequest(
      json(
        #"{"capabilities":{"gpus":[{"name":"RTX 4090","memory_mb":24576}],"gpu":{"model":"V100","memory_gb":16},"#
          + #""models":["tiny"],"cuda":"12.4","price":1.5,"runners":["process"],"anything":{"goes":1}},"#
          + #""concurrency":2,"region":"eu-west","name":"n","fresh":true}"#))
    #expect(full.offer.gpus.map(\.name) == ["RTX 4090", "V100"] && full.offer.gpus[1].memoryMiB == 16_384)
    #expect(full.offer.price == Money(micros: 1_500_000) && full.offer.slots == 2 && full.offer.runners == ["process"])
    #expect(full.offer.region == "eu-west" && full.isFresh && full.name == "n")
  }

  @Test func anyPayloadIsNotAnyProgram() throws {
    let offer = try RegisterRequest(json("{}")).offer
    #expect(offer.runs("inference") && offer.runs("whisper") && !offer.runs("process"))
  }

  @Test(
    arguments: [
      ("{}", 15), (#"{"max_wait_seconds":0}"#, 0), (#"{"max_wait_seconds":60}"#, 60), (#"{"max_wait_seconds":61}"#, 60),
    ]
      as [(String, Int64)])
  func pollsWaitAMinuteAtMost(_ text: String, _ seconds: Int64) throws {
    #expect(try PollRequest(json(text)).wait == Seconds(seconds))
  }

  @Test func results() throws {
    let good = try MinerReport(
      result: json(#"{"result":{"output":"x"},"metrics":{"duration_ms":5200,"units":5.2}}"#), header: "t")
    #expect(good.report.lease == "t" && good.report.error == nil && good.report.exitCode == 0)
    #expect(good.report.usage.wallMilliseconds == 5_200 && good.metrics?["units"]?.numberText == "5.2")
    let body = try MinerReport(result: json(#"{"result":{},"lease_token":"b"}"#), header: nil)
    #expect(body.report.lease == "b")
  }

  @Test(
    arguments: [
      ("failed", JobErrorCode.runnerFailed), ("FAILURE", .runnerFailed), ("error", .runnerFailed),
      ("canceled", .canceled), ("Cancelled", .canceled),
    ])
  func aResultThatFailedIsAFailure(_ word: String, _ code: JobErrorCode) throws {
    let said = try MinerReport(
      result: json(#"{"result":{"status":"\#(word)","error":"why"}}"#), header: "t")
    #expect(said.report.error == JobError(code, "why") && said.report.result == nil)
  }

  @Test(
    arguments: [
      ("OOM", JobErrorCode.outOfMemory, "m"), ("timeout", .timeout, "m"), ("CANCELED", .canceled, "m"),
      ("MINER_ERROR", .minerError, "m"), ("WHATEVER", .runnerFailed, "WHATEVER: m"), ("LOST", .runnerFailed, "LOST: m"),
      ("REFUSED", .runnerFailed, "REFUSED: m"), ("UNSCHEDULABLE", .runnerFailed, "UNSCHEDULABLE: m"),
    ])
  func failures(_ word: String, _ code: JobErrorCode, _ message: String) throws {
    let said = try MinerReport(
      failure: json(#"{"error_code":"\#(word)","error_message":"m","lease_token":"t"}"#), header: nil)
    #expect(said.report.error == JobError(code, message))
  }

  @Test(
    arguments: [
      (#"{"result":{}}"#, ["/lease_token"]), (#"{"result":{},"lease_token":""}"#, ["/lease_token"]),
      (#"{"result":"text","lease_token":"t"}"#, ["/result"]), (#"{"lease_token":"t"}"#, ["/result"]),
      (#"{"result":{},"lease_token":"t","metrics":[]}"#, ["/metrics"]),
      (#"{"result":{},"lease_token":"t","x":1}"#, ["/x"]),
    ] as [(String, [String])])
  func wrongResults(_ text: String, _ pointers: [String]) throws {
    let body = try json(text)
    let problem = #expect(throws: Problem.self) { try MinerReport(result: body, header: nil) }
    #expect(problem?.errors.map(\.pointer) == pointers)
  }

  @Test func metricsAreLimited() throws {
    func body(_ bytes: Int) -> JSONValue {
      ["result": [:], "lease_token": "t", "metrics": ["m": .string(String(repeating: "x", count: bytes - 8))]]
    }
    #expect(throws: Never.self) { try MinerReport(result: body(MinerReport.longestMetrics), header: nil) }
    #expect(throws: Problem.self) { try MinerReport(result: body(MinerReport.longestMetrics + 1), header: nil) }
  }
}
