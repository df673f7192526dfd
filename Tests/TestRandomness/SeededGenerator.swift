/// SplitMix64 (Steele, Lea, Flood 2014): the same seed gives the same run. A property test prints its seed.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  public init(seed: UInt64) { state = seed }

  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// A number from 0 on.
  public mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }
  /// True once in so many times.
  public mutating func chance(oneIn count: Int) -> Bool { below(count) == 0 }
  /// True in so many of a hundred times.
  public mutating func chance(percent: Int) -> Bool { below(100) < percent }
}
