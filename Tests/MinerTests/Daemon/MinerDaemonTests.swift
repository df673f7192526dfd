import Foundation
import JSON
import Marketplace
import Testing
import Wire

@testable import Miner

@Suite("Miner daemon", .timeLimit(.minutes(5)))
struct MinerDaemonTests {
  @Test(arguments: Flavour.available)
  func `a job runs from assignment to settled report`(flavour: Flavour) async throws {
    let miner = try await MinerHarness.start { $0.sandbox = flavour == .bubblewrap ? .bubblewrap : .none }
    var specification = JobSpecification.script(
      """
      echo out; echo err >&2; echo "$AITBC_JOB_ID $AITBC_TRY $MARK"
      echo '50 half way' > "$AITBC_PROGRESS"
      mkdir "$AITBC_OUTPUT_DIR/sub"; echo model > "$AITBC_OUTPUT_DIR/sub/model.txt"
      echo result > "$AITBC_OUTPUT_DIR/result.txt"; echo extra > extra.csv; exit 0
      """, mark: "m")
    specification.artifacts = ["extra.csv"]
    let lease = miner.coordinator.assign(specification)
    let report = try await miner.report(lease)
    #expect(report.error == nil && report.exitCode == 0)
    #expect(report.artifacts.map(\.path) == ["extra.csv", "result.txt", "sub/model.txt"])
    #expect(miner.coordinator.artifacts["\(lease)/sub/model.txt"] == Array("model\n".utf8))
    let text = miner.coordinator.text(lease)
    #expect(text.hasPrefix("out\njob_") && text.hasSuffix(" 1 m\n"))
    #expect(miner.coordinator.text(lease, .stderr) == "err\n")
    let words = miner.coordinator.messages.compactMap { message -> String? in
      switch message {
      case .accept: "accept"
      case .started: "started"
      case .done: "done"
      case .failed: "failed"
      case .progress(_, let percent, let text): "\(percent) \(text ?? "")"
      default: nil
      }
    }
    #expect(words.first == "accept" && words.last == "done" && words.contains("started"))
    #expect(words.contains("50 half way"))
    try await miner.finish()
  }

  @Test(
    arguments: [
      ("exit 3", .exitNonzero, 3), ("kill -9 $$", .signaled, nil), ("exec /nowhere/at/all", .exitNonzero, 127),
    ] as [(String, JobErrorCode, Int?)])
  func `a job that fails says how, and keeps what it left`(script: String, code: JobErrorCode, exit: Int?) async throws
  {
    let miner = try await MinerHarness.start()
    let lease = miner.coordinator.assign(.script("echo x > $AITBC_OUTPUT_DIR/partial; \(script)"))
    let report = try await miner.report(lease)
    #expect(report.error?.code == code && report.exitCode == exit)
    #expect(report.artifacts.map(\.path) == ["partial"])
    try await miner.finish()
  }

  @Test func `a program that is not there is a launch failure`() async throws {
    let miner = try await MinerHarness.start()
    let lease = miner.coordinator.assign(JobSpecification(runner: "process", command: ["no-such-program"]))
    let report = try await miner.report(lease)
    #expect(report.error?.code == .launchFailed)
    #expect(!miner.coordinator.messages.contains { if case .started = $0 { true } else { false } })
    try await miner.finish()
  }

  @Test func `noop ends at once with its payload as the result`() async throws {
    let miner = try await MinerHarness.start { $0.slots = 1 }
    let leases = (0..<50).map { index in
      miner.coordinator.assign(
        JobSpecification(runner: "noop", payload: JSONObject([("type", "noop"), ("n", .integer(Int64(index)))])))
    }
    for (index, lease) in leases.enumerated() {
      #expect(try await miner.report(lease).result == ["type": "noop", "n": .integer(Int64(index))])
    }
    try await miner.finish()
  }

  @Test func `cancel ends everything the job started and keeps what there is`() async throws {
    let miner = try await MinerHarness.start()
    let mark = uniqueMark()
    let lease = miner.coordinator.assign(
      .script("echo before; echo p > $AITBC_OUTPUT_DIR/partial; (trap '' TERM; sleep 100) & wait", mark: mark))
    try await eventually { [coordinator = miner.coordinator] in coordinator.text(lease) == "before\n" }
    miner.coordinator.send(.cancel(lease: lease, grace: Seconds(milliseconds: 100)))
    let report = try await miner.report(lease)
    #expect(report.error?.code == .canceled)
    #expect(miner.processes(mark) == 0, "said canceled while a process lived")
    #expect(miner.coordinator.text(lease) == "before\n" && report.artifacts.map(\.path) == ["partial"])
    try await miner.finish()
  }

  @Test func `a cancel that comes too late changes nothing`() async throws {
    let miner = try await MinerHarness.start(behaviour: { $0.settles = false })
    let lease = miner.coordinator.assign(.script("exit 0"))
    try await miner.said { if case .done = $0 { true } else { false } }
    miner.coordinator.send(.cancel(lease: lease, grace: Seconds(0)))
    miner.coordinator.behaviour.settles = true
    miner.coordinator.cut()
    #expect(try await miner.report(lease).error == nil)
    try await miner.finish()
  }

  @Test func `a job that runs too long is ended with TIMEOUT`() async throws {
    let miner = try await MinerHarness.start()
    var specification = try JobSpecification.zoo("ignore-term")
    specification.timeout = Seconds(milliseconds: 200)
    let lease = miner.coordinator.assign(specification)
    #expect(try await miner.report(lease).error?.code == .timeout)
    try await miner.finish()
  }

  @Test func `too much output ends the job, what fits is kept`() async throws {
    let miner = try await MinerHarness.start { $0.logLimit = 100_000 }
    let lease = miner.coordinator.assign(try .zoo("print", "1000000000", "x"))
    let report = try await miner.report(lease)
    #expect(report.error?.code == .outputTooLarge)
    #expect(report.stdout.length == 100_000 && miner.coordinator.log(lease).count == 100_000)
    try await miner.finish()
  }

  @Test func `ten megabytes of log arrive whole and in order`() async throws {
    let miner = try await MinerHarness.start()
    let lease = miner.coordinator.assign(try .zoo("print", "10485760", "0123456789abcde\n"))
    // The report's digest was checked against what arrived.
    #expect(try await miner.report(lease).stdout.length == 10_485_760)
    #expect(miner.coordinator.log(lease).count == 10_485_760)
    try await miner.finish()
  }

  @Test func `too many artifacts are an error`() async throws {
    let miner = try await MinerHarness.start { $0.artifactLimit = 3 }
    let lease = miner.coordinator.assign(.script("cd $AITBC_OUTPUT_DIR; touch 1 2 3 4"))
    #expect(try await miner.report(lease).error?.code == .outputTooLarge)
    try await miner.finish()
  }

  @Test func `what the miner does not offer is refused`() async throws {
    let miner = try await MinerHarness.start()
    var network = JobSpecification.script("true")
    network.constraints.network = true
    var gpu = JobSpecification.script("true")
    gpu.constraints.gpuCount = 1
    for specification in [JobSpecification(runner: "inference"), JobSpecification(runner: "x"), network, gpu] {
      let lease = miner.coordinator.assign(specification)
      try await miner.said { if case .refuse(lease, _) = $0 { true } else { false } }
    }
    try await miner.finish()
  }

  @Test func `no more jobs run than there are slots`() async throws {
    let miner = try await MinerHarness.start { $0.slots = 2 }
    let marks = (0..<3).map { _ in uniqueMark() }
    let leases = try marks.map { miner.coordinator.assign(try .zoo("sleep", mark: $0)) }
    try await miner.said { if case .refuse(leases[2], _) = $0 { true } else { false } }
    for lease in leases.prefix(2) { miner.coordinator.send(.cancel(lease: lease, grace: Seconds(0))) }
    for lease in leases.prefix(2) { #expect(try await miner.report(lease).error?.code == .canceled) }
    try await miner.finish()
  }

  @Test func `an operator's runner gets the payload in its words and as a file`() async throws {
    let miner = try await MinerHarness.start {
      $0.runners = [try RunnerTemplate(#"draw=sh -c 'echo "$1"; cat payload.json' draw {prompt}"#)]
    }
    let payload = JSONObject([("type", "draw"), ("prompt", "a $(cat) \"; ls")])
    let lease = miner.coordinator.assign(JobSpecification(runner: "draw", payload: payload))
    #expect(try await miner.report(lease).error == nil)
    #expect(miner.coordinator.text(lease) == "a $(cat) \"; ls\n" + JSONValue.object(payload).text)
    let incomplete = miner.coordinator.assign(JobSpecification(runner: "draw"))
    #expect(try await miner.report(incomplete).error?.code == .launchFailed)
    try await miner.finish()
  }

  @Test func `GPUs are given out and shown to the job`() async throws {
    let miner = try await MinerHarness.start {
      $0.gpus = [GPUDevice(name: "A100", memoryMiB: 40_960), GPUDevice(name: "A100", memoryMiB: 81_920)]
    }
    var specification = JobSpecification.script("echo \"[$CUDA_VISIBLE_DEVICES]\"")
    specification.constraints.minimumVRAM = 60
    let lease = miner.coordinator.assign(specification)
    _ = try await miner.report(lease)
    #expect(miner.coordinator.text(lease) == "[1]\n")
    let none = miner.coordinator.assign(.script("echo \"[$CUDA_VISIBLE_DEVICES]\""))
    _ = try await miner.report(none)
    #expect(miner.coordinator.text(none) == "[]\n")
    try await miner.finish()
  }
}
