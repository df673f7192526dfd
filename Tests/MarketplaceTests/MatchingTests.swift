import JSON
import Marketplace
import Testing

@Suite struct MatchingTests {
  /// A miner that offers a little of everything.
  private static let offer: MinerOffer = {
    var offer = MinerOffer(runners: ["process", "noop"], slots: 4)
    offer.gpus = [
      GPUDevice(name: "Tesla V100-SXM2-16GB", memoryMiB: 16_384), GPUDevice(name: "RTX 3090", memoryMiB: 24_576),
      GPUDevice(name: "RTX 3090", memoryMiB: 24_576),
    ]
    offer.cuda = "12.4"
    offer.models = ["llama3", "mistral"]
    offer.region = "eu-west"
    offer.price = Money(micros: 50_000)
    offer.labels = ["disk": "ssd", "rack": "7"]
    offer.cpus = 16
    offer.memoryMiB = 65_536
    offer.allowsNetwork = true
    return offer
  }()

  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let missing: [Requirement]
    let change: @Sendable (inout Constraints) -> Void

    init(_ name: String, _ missing: [Requirement] = [], _ change: @escaping @Sendable (inout Constraints) -> Void) {
      testDescription = name
      self.missing = missing
      self.change = change
    }
  }

  @Test(arguments: [
    Case("nothing asked") { _ in },
    Case("GPU by another spelling") { $0.gpu = "rtx-3090" },
    Case("GPU that is not there", [.gpu]) { $0.gpu = "A100" },
    Case("one GPU that is not there", [.gpu, .gpuCount]) { ($0.gpu, $0.gpuCount) = ("A100", 1) },
    Case("two of a kind") { ($0.gpu, $0.gpuCount) = ("RTX 3090", 2) },
    Case("three of a kind", [.gpuCount]) { ($0.gpu, $0.gpuCount) = ("RTX 3090", 3) },
    Case("any three") { $0.gpuCount = 3 },
    Case("any four", [.gpuCount]) { $0.gpuCount = 4 },
    Case("name and memory on one device") { ($0.gpu, $0.minimumVRAM) = ("RTX 3090", 24) },
    Case("name and memory on different devices", [.vram]) { ($0.gpu, $0.minimumVRAM) = ("V100", 24) },
    Case("memory at the limit") { $0.minimumVRAM = 24 },
    Case("memory past the limit", [.vram]) { $0.minimumVRAM = 25 },
    Case("absurd memory", [.vram]) { $0.minimumVRAM = .max },
    Case("memory on two devices") { ($0.minimumVRAM, $0.gpuCount) = (24, 2) },
    Case("memory on three devices", [.gpuCount]) { ($0.minimumVRAM, $0.gpuCount) = (24, 3) },
    Case("all three have 16") { ($0.minimumVRAM, $0.gpuCount) = (16, 3) },
    Case("CUDA equal") { $0.cuda = "12.4" },
    Case("CUDA older") { $0.cuda = "11.8" },
    Case("CUDA older major alone") { $0.cuda = "12" },
    Case("CUDA newer minor", [.cuda]) { $0.cuda = "12.10" },
    Case("CUDA newer major", [.cuda]) { $0.cuda = "13" },
    Case("one model") { $0.models = ["mistral"] },
    Case("all models") { $0.models = ["mistral", "llama3"] },
    Case("one model too many", [.models]) { $0.models = ["mistral", "gpt"] },
    Case("model by part of its name", [.models]) { $0.models = ["llama"] },
    Case("region") { $0.region = "eu-west" },
    Case("other region", [.region]) { $0.region = "eu" },
    Case("price equal") { $0.maximumPrice = Money(micros: 50_000) },
    Case("price a millionth short", [.price]) { $0.maximumPrice = Money(micros: 49_999) },
    Case("one label") { $0.labels = ["disk": "ssd"] },
    Case("both labels") { $0.labels = ["disk": "ssd", "rack": "7"] },
    Case("label of another value", [.labels]) { $0.labels = ["disk": "hdd", "rack": "7"] },
    Case("label that is not there", [.labels]) { $0.labels = ["zone": ""] },
    Case("processors equal") { $0.cpus = 16 },
    Case("one processor more", [.cpus]) { $0.cpus = 17 },
    Case("memory equal") { $0.memoryMiB = 65_536 },
    Case("one MiB more", [.memory]) { $0.memoryMiB = 65_537 },
    Case("network") { $0.network = true },
  ])
  func table(row: Case) {
    var constraints = Constraints()
    row.change(&constraints)
    #expect(Requirements(runner: "noop", constraints: constraints).missing(in: Self.offer) == row.missing)
  }

  @Test func missingListsAll() {
    var wanted = Constraints()
    (wanted.gpu, wanted.gpuCount, wanted.minimumVRAM) = ("A100", 2, 40)
    (wanted.cuda, wanted.models, wanted.region) = ("12", ["m"], "r")
    (wanted.maximumPrice, wanted.labels, wanted.cpus) = (.zero, ["a": "b"], 1)
    (wanted.memoryMiB, wanted.network) = (1, true)
    let bare = MinerOffer(runners: [], slots: 1)
    #expect(Requirements(runner: "noop", constraints: wanted).missing(in: bare) == Requirement.allCases)
    #expect(Requirements(runner: "noop", constraints: Constraints()).missing(in: bare) == [.runner])
    #expect(
      Requirement.allCases.map(\.rawValue) == [
        "runner", "gpu", "gpu_count", "min_vram_gb", "cuda", "models", "region", "max_price", "labels", "cpus",
        "memory_mb",
        "network",
      ])
  }

  @Test func runners() {
    #expect(Requirements(runner: "inference", constraints: Constraints()).missing(in: Self.offer) == [.runner])
    #expect(Requirements(of: JobSpecification(runner: "process")).missing(in: Self.offer).isEmpty)
  }

  /// Equal requirements are one class, whatever else differs.
  @Test func classes() {
    var one = JobSpecification(runner: "process", command: ["a"])
    var other = JobSpecification(runner: "process", command: ["b"])
    (one.name, other.priority) = ("x", .urgent)
    #expect(Requirements(of: one) == Requirements(of: other))
    other.constraints.region = "eu"
    #expect(Requirements(of: one) != Requirements(of: other))
  }

  @Test(arguments: [
    ("12.4", "12.4", true), ("12.4", "12", true), ("12", "12.0", true), ("12", "12.0.1", false),
    ("12.10", "12.9", true),
    ("12.9", "12.10", false), ("9.2", "10.0", false), ("12.4", "1", true), ("12.4.1", "12.4", true), ("0", "0", true),
    ("12.x", "12.x", true), ("12.x", "12", false), ("12", "", false), ("", "", true), ("12.", "12", false),
    ("+12", "11", false), ("12", "-1", false), ("99999999999999999999", "1", false), ("１２", "1", false),
  ])
  func versions(offered: String, wanted: String, isEnough: Bool) {
    #expect(Version.isAtLeast(offered, wanted) == isEnough)
  }

  @Test func prices() {
    var offer = MinerOffer(runners: [], slots: 1)
    #expect(offer.effectivePrice == Pricing.defaultPrice)
    offer.gpus = [GPUDevice(name: "unknown", memoryMiB: 1)]
    #expect(offer.effectivePrice == Pricing.defaultPrice)
    offer.gpus.append(GPUDevice(name: "A100", memoryMiB: 1))
    #expect(offer.effectivePrice == Money(micros: 100_000))
    offer.price = .zero
    #expect(offer.effectivePrice == .zero)
  }

  @Test func devices() {
    var wanted = Constraints()
    #expect(wanted.devices == 0)
    wanted.minimumVRAM = 8
    #expect(wanted.devices == 1)
    wanted.gpuCount = 3
    #expect(wanted.devices == 3)
    (wanted.gpuCount, wanted.minimumVRAM, wanted.gpu) = (nil, nil, "A100")
    #expect(wanted.devices == 1)
  }

  @Test func offerRoundTrip() throws {
    #expect(MinerOffer(json: Self.offer.json) == Self.offer)
    let bare = MinerOffer(runners: ["noop"], slots: 1)
    #expect(MinerOffer(json: bare.json) == bare)
    #expect(MinerOffer(json: ["runners": ["noop"], "slots": 1]) == bare)
    #expect(MinerOffer(json: ["slots": 1]) == nil && MinerOffer(json: ["runners": []]) == nil)
    #expect(MinerOffer(json: .null) == nil && MinerOffer(json: [1]) == nil)
  }

  /// A price that can't be read is no offer: taking the list price instead would charge it.
  @Test func offeredPrices() {
    func price(_ value: JSONValue) -> String? {
      MinerOffer(json: ["runners": [], "slots": 1, "price": value])?.price?.description
    }
    #expect(price("0.05") == "0.050000" && price(.decimal("0.05")) == "0.050000" && price(2) == "2.000000")
    #expect(price("cheap") == nil && price(-1) == nil && price(.decimal("1e9")) == nil && price(true) == nil)
    #expect(MinerOffer(json: ["runners": [], "slots": 1, "price": "cheap"]) == nil)
    #expect(MinerOffer(json: ["runners": [], "slots": 1, "price": .null])?.price == nil)
  }
}
