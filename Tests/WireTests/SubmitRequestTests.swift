import JSON
import Marketplace
import Testing
import Wire

@Suite struct SubmitRequestTests {
  private func parse(_ text: String) throws -> JobSpecification { try SubmitRequest.parse(try JSONParser.parse(text)) }

  private func pointers(_ text: String) throws -> [String] {
    let body = try JSONParser.parse(text)
    let problem = #expect(throws: Problem.self) { try SubmitRequest.parse(body) }
    #expect(problem?.status == 422)
    return problem?.errors.map(\.pointer) ?? []
  }

  @Test func command() throws {
    let job = try parse(
      #"{"command":["sh","-c","true"],"env":{"B":"2","A":"1"},"priority":"HIGH","ttl_seconds":"15m","#
        + #""timeout_seconds":60,"max_tries":1,"run_key":"k","strict":true,"labels":{"a":"b"},"name":"n","#
        + #""not_before":"2026-02-13T10:00:00Z","artifacts":["out"],"constraints":{"gpu":"A100","max_price":2.5}}"#)
    #expect(job.runner == "process" && job.command == ["sh", "-c", "true"])
    #expect(job.environment.map(\.name) == ["A", "B"] && job.priority == .high && job.timeToLive == Seconds(900))
    #expect(job.timeout == Seconds(60) && job.maxTries == 1 && job.runKey == "k" && job.isStrict)
    #expect(job.notBefore == Timestamp(milliseconds: 1_770_976_800_000) && job.artifacts == ["out"])
    #expect(job.constraints.gpu == "A100" && job.constraints.maximumPrice == Money(micros: 2_500_000))
  }

  @Test func aitbcPayload() throws {
    let job = try parse(
      #"{"payload":{"type":"noop","anything":[1]},"constraints":{"gpu_count":2,"models":["b","a"]},"#
        + #""payment_amount":1.50,"payment_currency":"AITBC"}"#)
    #expect(job.runner == "noop" && job.command.isEmpty && job.payload["anything"] == [1])
    #expect(job.constraints.devices == 2 && job.constraints.models == ["a", "b"])
    #expect(job.payment == PaymentNote(amount: "1.50", currency: "AITBC"))
    let process = try parse(#"{"payload":{"type":"process","command":["ls"]}}"#)
    #expect(process.runner == "process" && process.command == ["ls"])
  }

  @Test func guideModel() throws {
    let job = try parse(
      #"{"model":"llama3","input":{"prompt":"hi"},"output_config":{"format":"json"},"#
        + #""requirements":{"gpu_type":"V100","gpu_count":1,"min_vram_gb":16},"priority":"normal","timeout_seconds":3600}"#
    )
    #expect(job.runner == "inference" && job.payload["type"] == "inference" && job.payload["model"] == "llama3")
    #expect(job.constraints.gpu == "V100" && job.constraints.minimumVRAM == 16)
  }

  @Test func equalJobsAreEqualBytes() throws {
    let short = try parse(#"{"command":["a"]}"#)
    let long = try parse(
      #"{"timeout_seconds":"1h","ttl_seconds":900,"max_tries":3,"priority":"normal","strict":false,"labels":{},"#
        + #""constraints":{},"command":["a"],"name":null}"#)
    #expect(short == long && short.canonical == long.canonical)
  }

  @Test(
    arguments: [
      ("[]", ["", "/command"]), ("{}", ["/command"]),
      (#"{"command":[]}"#, ["/command"]), (#"{"command":[""]}"#, ["/command"]),
      (#"{"command":"ls"}"#, ["/command"]), (#"{"command":["a",1]}"#, ["/command/1"]),
      (#"{"command":["a"],"payload":{}}"#, ["/payload"]), (#"{"payload":{}}"#, ["/payload/type"]),
      (#"{"payload":[]}"#, ["/payload"]), (#"{"payload":{"type":""}}"#, ["/payload/type"]),
      (#"{"payload":{"type":"process"}}"#, ["/payload/command"]), (#"{"command":["a"],"surprise":1}"#, ["/surprise"]),
      (#"{"command":["a"],"a/b":1}"#, ["/a~1b"]), (#"{"command":["a"],"priority":"max"}"#, ["/priority"]),
      (#"{"command":["a"],"ttl_seconds":0}"#, ["/ttl_seconds"]), (#"{"command":["a"],"max_tries":0}"#, ["/max_tries"]),
      (#"{"command":["a"],"max_tries":101}"#, ["/max_tries"]), (#"{"command":["a"],"run_key":""}"#, ["/run_key"]),
      (#"{"command":["a"],"strict":true}"#, ["/strict"]),
      (#"{"command":["a"],"constraints":{"gpus":1}}"#, ["/constraints/gpus"]),
      (#"{"command":["a"],"constraints":{"gpu":""}}"#, ["/constraints/gpu"]),
      (#"{"command":["a"],"constraints":{"cuda":"","region":""}}"#, ["/constraints/cuda", "/constraints/region"]),
      (#"{"command":["a"],"constraints":{"max_price":-1}}"#, ["/constraints/max_price"]),
      (#"{"command":["a"],"inputs":[{"path":"p","sha256":"x"}]}"#, ["/inputs/0/sha256"]),
      (#"{"command":["a"],"inputs":{}}"#, ["/inputs"]),
      (#"{"model":"m","requirements":{"gpu":"x"}}"#, ["/requirements/gpu"]),
      (#"{"command":["a"],"payment_amount":"x"}"#, ["/payment_amount"]),
      (#"{"command":["a"],"name":1,"labels":[],"ttl_seconds":"x"}"#, ["/name", "/ttl_seconds", "/labels"]),
      (#"{"command":["a"],"env":{"1A":"x"}}"#, ["/env/1A"]),
      (#"{"command":["a"],"env":{"AITBC_TRY":"x"}}"#, ["/env/AITBC_TRY"]),
    ] as [(String, [String])])
  func faultsNameTheField(text: String, expected: [String]) throws { #expect(try pointers(text) == expected) }

  /// Null is the same as absent, also for the member that decides the shape.
  @Test func nullsDoNotChooseTheShape() throws {
    #expect(try parse(#"{"command":["a"],"payload":null,"model":null}"#).command == ["a"])
    #expect(try parse(#"{"payload":{"type":"noop"},"command":null}"#).runner == "noop")
  }
}
