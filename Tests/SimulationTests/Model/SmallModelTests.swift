import Testing

/// Every interleaving of claim, renew, expire, complete, cancel, retry and drain for one job and two miners.
@Suite struct SmallModelTests {
  private static let depth = SimulationTests.variable("DEPTH").flatMap { Int($0) } ?? 8

  @Test(arguments: [1, 2]) func everyInterleavingKeepsEveryPromise(maxTries: Int) throws {
    var first = try SmallMarket(maxTries: maxTries)
    try first.check()
    var frontier = [(market: first, path: [SmallMarket.Action]())]
    var seen: Set<[Int64]> = [first.key]
    var steps = 0
    for _ in 0..<Self.depth {
      var next: [(market: SmallMarket, path: [SmallMarket.Action])] = []
      for (market, path) in frontier {
        for action in SmallMarket.Action.allCases {
          var after = market
          guard try after.take(action) else { continue }
          steps += 1
          try after.check()
          #expect(after.violation == nil, "\(path + [action])")
          guard after.violation == nil else { return }
          if seen.insert(after.key).inserted { next.append((after, path + [action])) }
        }
      }
      frontier = next
    }
    print("small model: \(maxTries) tries, depth \(Self.depth): \(seen.count) states, \(steps) steps")
    #expect(seen.count > 50, "the model must go somewhere")
  }
}
