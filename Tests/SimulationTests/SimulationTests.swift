import Glibc
import Marketplace
import Testing

/// Seeded runs of the whole market. `make simulate SEEDS=…` runs more; `SEED=…` runs one and tells its story.
@Suite struct SimulationTests {
  /// Two hundred seeds, or as many as `SEEDS` says; a first one other than 1 is `SEEDS=FIRST-LAST`.
  static let seeds: ClosedRange<UInt64> = {
    let text = variable("SEEDS") ?? "200"
    let parts = text.split(separator: "-").compactMap { UInt64($0) }
    return parts.count == 2 && parts[0] <= parts[1] ? parts[0]...parts[1] : 1...max(1, parts.first ?? 200)
  }()

  /// Nil when it is not set, or empty.
  static func variable(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
  }

  @Test(.enabled(if: SimulationTests.variable("SEED") == nil)) func everyPromiseHoldsUnderAllFaults() async {
    let results = await withTaskGroup(of: (UInt64, String?).self) { group in
      for seed in Self.seeds { group.addTask { (seed, Simulation(seed: seed).run()) } }
      return await group.reduce(into: [UInt64: String]()) { $0[$1.0] = $1.1 }
    }
    for (seed, violation) in results.sorted(by: { $0.key < $1.key }) {
      Issue.record("SEED=\(seed): \(violation)\n\(Self.story(seed, lines: 60))")
    }
    print("simulation: seeds \(Self.seeds), \(results.count) failed")
  }

  /// Told again with its trace: a seed gives the same run every time.
  static func story(_ seed: UInt64, lines: Int) -> String {
    let simulation = Simulation(seed: seed, isTracing: true)
    let violation = simulation.run()
    return simulation.world.trace.suffix(lines).joined(separator: "\n") + "\n"
      + (violation ?? "this time nothing broke")
  }

  @Test(.enabled(if: SimulationTests.variable("SEED") != nil)) func oneSeed() throws {
    let seed = try #require(Self.variable("SEED").flatMap { UInt64($0) })
    let simulation = Simulation(seed: seed, isTracing: true)
    let violation = simulation.run()
    for line in simulation.world.trace { print(line) }
    #expect(violation == nil, "SEED=\(seed)")
  }

  /// Machines that were said to be well while what they had put off still waited; a coordinator that was looked at in the
  /// very moment of its waking. (They tell these stories with `SWIFT_DETERMINISTIC_HASHING=1`.)
  @Test(arguments: [715, 1268, 1353, 5377, 5929] as [UInt64]) func seedsThatFailedOnce(_ seed: UInt64) {
    #expect(Simulation(seed: seed).run() == nil)
  }

  @Test(arguments: [3, 17, 42] as [UInt64]) func aSeedGivesTheSameRunEveryTime(_ seed: UInt64) {
    let (first, second) = (Simulation(seed: seed, isTracing: true), Simulation(seed: seed, isTracing: true))
    _ = (first.run(), second.run())
    #expect(first.world.trace == second.world.trace)
    #expect(first.world.steps == second.world.steps)
  }

  /// A simulation in which nothing happens proves nothing.
  @Test func theRunsSeeWhatTheyAreFor() {
    var total = Simulation.Summary()
    for seed in UInt64(1)...30 {
      let simulation = Simulation(seed: seed)
      _ = simulation.run()
      let one = simulation.summary
      total.jobs += one.jobs
      total.events += one.events
      total.completed += one.completed
      total.refusedTokens += one.refusedTokens
      total.states.formUnion(one.states)
    }
    #expect(total.jobs > 400 && total.completed > 150 && total.events > 1_500 && total.refusedTokens > 3, "\(total)")
    #expect(total.states.isSuperset(of: [.completed, .failed, .canceled, .expired, .lost]), "\(total)")
  }
}
