import Testing
import TestRandomness
import WebSocket

/// Gives the same octets to fresh connections in every manner: whole, octet by octet, cut at random, and to many at
/// once that share one pool and take turns in random order. All must tell the same events.
struct Verifier {
  var seed: UInt64
  /// Random cuts, and connections at once.
  var rounds = 3
  var crowd = 4
  let make: (DeflatePool) -> Endpoint

  init(seed: UInt64 = 1, _ make: @escaping (DeflatePool) -> Endpoint) {
    self.seed = seed
    self.make = make
  }

  /// The events, and after how many octets the failure came, if one did.
  @discardableResult
  func verify(
    _ octets: [UInt8], _ name: String = "", sourceLocation: SourceLocation = #_sourceLocation
  ) -> (events: [Event], failedAt: Int?) {
    var random = SeededGenerator(seed: seed)
    let whole = make(DeflatePool()).receive(octets)
    func compare(_ events: [Event], _ manner: String) {
      // Not in #expect: it would write megabytes of events.
      if events != whole {
        Issue.record("\(name): \(manner) gives other events (seed \(seed))", sourceLocation: sourceLocation)
      }
    }
    let (single, failedAt) = octetByOctet(octets)
    compare(single, "octet by octet")
    // Long ones are few and cost most.
    for _ in 0..<(octets.count > 10_000 ? 1 : rounds) {
      let most = Int.random(in: 2...max(2, octets.count), using: &random)
      compare(make(DeflatePool()).receive(octets) { Int.random(in: 1...most, using: &random) }, "cut at random")
    }
    for events in manyAtOnce(octets, using: &random) { compare(events, "one of many") }
    return (whole, failedAt)
  }

  private func octetByOctet(_ octets: [UInt8]) -> ([Event], Int?) {
    let endpoint = make(DeflatePool())
    var events: [Event] = []
    var failedAt: Int?
    for (index, octet) in octets.enumerated() {
      events += endpoint.receive([octet])
      if failedAt == nil, failure(events) != nil { failedAt = index + 1 }
    }
    return (events, failedAt)
  }

  private func manyAtOnce(_ octets: [UInt8], using random: inout SeededGenerator) -> [[Event]] {
    let pool = DeflatePool()
    let endpoints = (0..<crowd).map { _ in make(pool) }
    var rest = Array(repeating: octets[...], count: crowd)
    var events = Array(repeating: [Event](), count: crowd)
    while let open = rest.indices.filter({ !rest[$0].isEmpty }).randomElement(using: &random) {
      let piece = rest[open].prefix(Int.random(in: 1...max(1, octets.count / 3), using: &random))
      rest[open] = rest[open].dropFirst(piece.count)
      events[open] += endpoints[open].receive(Array(piece))
    }
    return events
  }
}
