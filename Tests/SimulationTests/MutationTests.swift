import Testing

/// What is broken on purpose must be found within 200 seeds. The sabotage lives in the tests' own coordinator, miner and
/// store; the product has no switch for it.
@Suite struct MutationTests {
  @Test(arguments: Breakage.allCases) func theSimulationFinds(_ breakage: Breakage) throws {
    var found: (seed: UInt64, violation: String)?
    for seed in UInt64(1)...200 {
      if let violation = Simulation(seed: seed, sabotage: breakage).run() {
        found = (seed, violation)
        break
      }
    }
    let (seed, violation) = try #require(found, "\(breakage) was not found")
    print("\(breakage): seed \(seed): \(violation)")
    #expect(breakage.promises.contains { violation.contains($0 + ":") }, "\(breakage), seed \(seed): \(violation)")
  }
}

extension Breakage {
  /// The guarantees that it breaks.
  var promises: [String] {
    switch self {
    case .staleTokensAreObeyed: ["G3", "G4", "G6", "G7"]
    case .answersBeforeTheCommit: ["G1", "G4", "G6", "G9", "G15"]
    case .eventsBeforeTheCommit: ["G12"]
    case .answersAreForgotten: ["G2"]
    case .noSelfFence: ["G6", "G8"]
    case .postingsAreHalved: ["G14"]
    case .triesAreNotCounted: ["G9"]
    }
  }
}
