import Marketplace
import Testing

@Suite struct PricingTests {
  private func cost(
    _ milliseconds: Int64, gpus: Int = 1, _ price: String, _ priority: Priority = .normal
  ) throws -> String {
    Pricing.charge(
      milliseconds: milliseconds, gpus: gpus, hourly: try #require(Money(decimal: price)), priority: priority
    ).description
  }

  /// The contract's vectors.
  @Test func vectors() throws {
    #expect(try cost(3_600_000, "0.05") == "0.050000")
    #expect(try cost(4 * 3_600_000, gpus: 4, "0.10", .high) == "2.400000")
    #expect(try cost(30 * 60_000, "0.05") == "0.025000")
  }

  @Test func multipliersAndDevices() throws {
    let hour: Int64 = 3_600_000
    #expect(try Priority.allCases.map { try cost(hour, "1", $0) } == ["0.800000", "1.000000", "1.500000", "2.000000"])
    #expect(
      try [-1, 0, 1, 2, 8].map { try cost(hour, gpus: $0, "1") }.map { $0.prefix(1) } == ["1", "1", "1", "2", "8"])
  }

  /// 36 ms at 0.10 are exactly one micro-unit.
  @Test(arguments: [(0, 0), (17, 0), (18, 1), (19, 1), (36, 1), (53, 1), (54, 2), (55, 2)] as [(Int64, Int64)])
  func roundsHalfUp(milliseconds: Int64, micros: Int64) {
    let price = Money(micros: 100_000)
    #expect(
      Pricing.charge(milliseconds: milliseconds, gpus: 1, hourly: price, priority: .normal) == Money(micros: micros))
  }

  @Test func nothingIsNeverNegative() throws {
    #expect(try cost(-1, "1") == "0.000000")
    #expect(try cost(.min, "1") == "0.000000")
    #expect(try cost(3_600_000, "0") == "0.000000")
    #expect(Pricing.charge(milliseconds: 1_000, gpus: 1, hourly: Money(micros: -1), priority: .low) == .zero)
  }

  @Test func saturates() {
    let most = Money(micros: .max)
    #expect(Pricing.charge(milliseconds: .max, gpus: .max, hourly: most, priority: .urgent) == most)
    #expect(Pricing.charge(milliseconds: .max, gpus: 1, hourly: most, priority: .low) == most)
    #expect(Pricing.charge(milliseconds: 3_600_000, gpus: 1, hourly: most, priority: .normal) == most)
    #expect(Pricing.charge(milliseconds: .max, gpus: .max, hourly: Money(micros: 1), priority: .low) == most)
  }

  @Test(
    arguments: [
      ("V100", "0.050000"), ("Tesla V100-SXM2-16GB", "0.050000"), ("NVIDIA A100 80GB PCIe", "0.100000"),
      ("A100-SXM4-40GB", "0.100000"), ("RTX3090", "0.030000"), ("NVIDIA GeForce RTX 3090", "0.030000"),
      ("rtx-3090 ti", "0.030000"), ("RTX A1000", nil), ("RTX 4090", nil), ("A10", nil), ("V1000", nil), ("", nil),
    ] as [(String, String?)])
  func listPrices(name: String, price: String?) { #expect(Pricing.listPrice(gpu: name)?.description == price) }

  @Test func priorityWords() {
    for priority in Priority.allCases {
      #expect(Priority(word: priority.word) == priority)
      #expect(Priority(word: priority.word.uppercased()) == priority)
    }
    #expect(Priority.allCases.sorted() == [.low, .normal, .high, .urgent])
    for word in ["", "medium", "Normal ", "1", "highest"] { #expect(Priority(word: word) == nil) }
  }

  @Test func plans() {
    #expect(Plan.allCases.map(\.rawValue) == ["free", "pro", "enterprise"])
    #expect(Plan.allCases.map(\.retention) == [.days(7), .days(30), .days(90)])
    #expect(Plan.allCases.map(\.weight).allSatisfy { $0 > 0 && FairQueue.step % $0 == 0 })
  }
}

@Suite struct GPUNameTests {
  @Test(arguments: [
    ("RTX 3090", "NVIDIA GeForce RTX 3090"), ("rtx-3090", "RTX 3090"), ("rtx_3090", "rtx3090"),
    ("v100", "Tesla V100-SXM2-16GB"),
    ("A100", "NVIDIA A100-SXM4-80GB"), ("A100", "NVIDIA A100 80GB PCIe"), ("H100", "NVIDIA H100 80GB HBM3"),
    ("A100-SXM4", "NVIDIA A100-SXM4-80GB"), ("V100-SXM2", "Tesla V100-SXM2-16GB"), ("A100-SXM4-80GB", "A100-SXM4-80GB"),
    ("NVIDIA A100-SXM4-80GB", "A100-SXM4-80GB"), ("RTX 4090", "RTX 4090 Ti"), ("RTX 4090", "RTX4090D"),
    ("T4", "Tesla T4"),
    ("MI300X", "AMD MI300X"), ("rtx 40 90", "RTX 4090"),
  ])
  func fits(wanted: String, offered: String) { #expect(GPUName.matches(wanted: wanted, offered: offered)) }

  @Test(arguments: [
    ("A10", "NVIDIA A100-SXM4-80GB"), ("A100", "A10"), ("A100", "RTX A1000"), ("RTX 3090", "RTX 3080"),
    ("RTX 30", "RTX 3090"),
    ("A100-SXM4-80GB", "A100-SXM4-40GB"), ("A100-SXM4-8", "A100-SXM4-80GB"), ("", "A100"), ("NVIDIA", "NVIDIA A100"),
    ("-", "A100"), ("A100", ""), ("100", "A100"), ("V100", "GV100"),
  ])
  func doesNotFit(wanted: String, offered: String) { #expect(!GPUName.matches(wanted: wanted, offered: offered)) }
}
