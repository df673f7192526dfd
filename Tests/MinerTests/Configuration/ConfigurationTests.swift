import JSON
import Marketplace
import MarketplaceClient
import Testing

@testable import Miner

@Suite("Miner configuration")
struct ConfigurationTests {
  private func command(_ template: String, _ payload: JSONValue = [:]) throws -> [String] {
    try RunnerTemplate("r=" + template).command(for: payload.object ?? JSONObject())
  }

  @Test func `templates are split like a shell does`() throws {
    #expect(try command("python3 run.py") == ["python3", "run.py"])
    #expect(try command(#"  a  'b c' "d \"e\" \n" f\ g '' h"i"'j' "#) == ["a", "b c", #"d "e" \n"#, "f g", "", "hij"])
    for bad in ["", "   ", "a 'b", "a \"b", "a \\"] {
      #expect(throws: InvalidTemplate.self, "\(bad)") { try command(bad) }
    }
  }

  @Test func `what a job says never becomes another word`() throws {
    let payload: JSONValue = [
      "prompt": "x'; rm -rf / \" $(id) {model}", "model": "m", "n": 3, "deep": ["a": [1, .null]],
    ]
    #expect(
      try command("run --p={prompt} {model}{n} {deep} '{prompt}'", payload)
        == ["run", "--p=x'; rm -rf / \" $(id) {model}", "m3", #"{"a":[1,null]}"#, "x'; rm -rf / \" $(id) {model}"])
    #expect(try command("a {payload}", ["k": "v"]) == ["a", #"{"k":"v"}"#])
    #expect(try command("a {{x} b{{}") == ["a", "{x}", "b{}"])
  }

  @Test func `a member that is missing and braces that are open are named`() {
    #expect { try command("a {prompt}") } throws: { "\($0)".contains("payload.prompt") }
    for bad in ["a {", "a {}", "a {x"] { #expect(throws: InvalidTemplate.self) { try command(bad) } }
    #expect(throws: InvalidCommand.self) {
      try command("a {p}", ["p": .string(String(repeating: "x", count: RunnerTemplate.maximumWord + 1))])
    }
    #expect(throws: Never.self) {
      try command("a {p}", ["p": .string(String(repeating: "x", count: RunnerTemplate.maximumWord))])
    }
  }

  @Test(arguments: ["x", "=a", "a b=c", "process=x", "noop=x", "inference=x", "ü=x", "a/b=c"])
  func `names of runners are plain and free`(option: String) {
    #expect(throws: InvalidTemplate.self) { try RunnerTemplate(option) }
  }

  @Test func `GPUs are read from an option`() throws {
    #expect(try GPUOption("RTX 4090:24576").device == GPUDevice(name: "RTX 4090", memoryMiB: 24576))
    #expect(try GPUOption("a:b:1").device == GPUDevice(name: "a:b", memoryMiB: 1))
    for bad in ["", "RTX", ":5", "a:", "a:x", "a:0", "a:-1", "a:99999999999", "a\n:5"] {
      #expect(throws: InvalidGPU.self, "\(bad)") { try GPUOption(bad) }
    }
  }

  @Test func `GPUs are read from nvidia-smi`() {
    let csv = """
      NVIDIA H100 80GB HBM3, 81559
      NVIDIA GeForce RTX 4090, 24564
      Tesla V100-SXM2-16GB, 16160\r
      [Unknown Error], [N/A]
      Unable to determine the device handle for GPU 0000:3B:00.0: GPU is lost

      """
    #expect(
      HostFacts.devices(inCSV: csv) == [
        GPUDevice(name: "H100 80GB HBM3", memoryMiB: 81559), GPUDevice(name: "RTX 4090", memoryMiB: 24564),
        GPUDevice(name: "Tesla V100-SXM2-16GB", memoryMiB: 16160),
      ])
    #expect(HostFacts.devices(inCSV: "").isEmpty)
  }

  @Test func `the CUDA version is read from nvidia-smi's table`() {
    let table = """
      Thu Jan  1 00:00:00 2026
      +-----------------------------------------------------------------------------------------+
      | NVIDIA-SMI 550.90.07              Driver Version: 550.90.07      CUDA Version: 12.4     |
      |-----------------------------------------+------------------------+----------------------+
      """
    #expect(HostFacts.cudaVersion(inTable: table) == "12.4")
    #expect(HostFacts.cudaVersion(inTable: "| CUDA Version: N/A |") == nil)
    #expect(HostFacts.cudaVersion(inTable: "") == nil)
  }

  @Test func `devices go to one job at a time, each with name and memory`() {
    var devices = DeviceAllocation([
      GPUDevice(name: "A100", memoryMiB: 40_960), GPUDevice(name: "V100", memoryMiB: 16_384),
      GPUDevice(name: "A100", memoryMiB: 81_920),
    ])
    var wanted = Constraints()
    #expect(devices.allocate(wanted, to: "none") == [])
    wanted.gpu = "A100"
    wanted.minimumVRAM = 60
    #expect(devices.allocate(wanted, to: "a") == [2])
    #expect(devices.allocate(wanted, to: "b") == nil)
    wanted.minimumVRAM = nil
    #expect(devices.allocate(wanted, to: "c") == [0])
    wanted.gpu = nil
    wanted.gpuCount = 2
    #expect(devices.allocate(wanted, to: "d") == nil)
    devices.release("a")
    #expect(devices.allocate(wanted, to: "d") == [1, 2])
  }

  @Test func `settings that can't work are named`() throws {
    let good = MinerConfiguration(
      url: .localDefault, apiKey: "k", name: "n", version: "1", workDirectory: "/tmp/x")
    func refusal(_ change: (inout MinerConfiguration) throws -> Void) rethrows -> String? {
      var configuration = good
      try change(&configuration)
      do {
        try configuration.validate()
        return nil
      } catch {
        return error.description
      }
    }
    #expect(refusal { _ in } == nil)
    #expect(refusal { $0.slots = 0 }?.hasPrefix("--slots") == true)
    #expect(refusal { $0.slots = 10_000 } == nil)
    #expect(refusal { $0.slots = 10_001 } != nil)
    #expect(refusal { $0.apiKey = "" } != nil)
    #expect(refusal { $0.name = "" } != nil)
    #expect(refusal { $0.workDirectory = "" } != nil)
    #expect(refusal { $0.sandboxReadable = ["relative"] } != nil)
    #expect(try refusal { $0.runners = [try RunnerTemplate("a=b"), try RunnerTemplate("a=c")] } != nil)
  }

  @Test func `only runners that are there are offered`() throws {
    var configuration = MinerConfiguration(
      url: .localDefault, apiKey: "k", name: "n", version: "1", workDirectory: "/tmp/x")
    #expect(configuration.offer(HostFacts()).runners == ["process", "noop"])
    configuration.inferenceURL = .localDefault
    configuration.runners = [try RunnerTemplate("sd=draw {prompt}")]
    var facts = HostFacts()
    facts.gpus = [GPUDevice(name: "found", memoryMiB: 1)]
    #expect(configuration.offer(facts).runners == ["process", "noop", "inference", "sd"])
    #expect(configuration.offer(facts).gpus == facts.gpus)
    configuration.gpus = [GPUDevice(name: "named", memoryMiB: 2)]
    #expect(configuration.offer(facts).gpus.map(\.name) == ["named"])
  }
}
