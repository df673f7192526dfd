import Clocks
import Marketplace
import Synchronization

@testable import MarketplaceClient

/// A clock whose sleeps end at once; it adds them up.
final class HurriedClock: MarketClock {
  private let passed = Mutex<Int64>(0)

  var now: Timestamp { Timestamp(milliseconds: 1_770_000_000_000 + passed.withLock { $0 }) }
  var monotonic: MonotonicTime { MonotonicTime(milliseconds: passed.withLock { $0 }) }
  /// Milliseconds slept.
  var slept: Int64 { passed.withLock { $0 } }

  func sleep(until deadline: MonotonicTime) async throws {
    try Task.checkCancellation()
    passed.withLock { $0 = max($0, deadline.milliseconds) }
  }
}

/// A client of a loopback server, shut down afterwards.
func withClient<Result>(
  _ url: String, clock: HurriedClock = HurriedClock(), key: String? = "ak_test",
  change: (inout ClientConfiguration) -> Void = { _ in }, _ body: (MarketplaceClient) async throws -> Result
) async throws -> Result {
  var configuration = ClientConfiguration(url: try CoordinatorURL(url), apiKey: key)
  configuration.clock = clock
  change(&configuration)
  let client = MarketplaceClient(configuration)
  do {
    let result = try await body(client)
    await client.shutdown()
    return result
  } catch {
    await client.shutdown()
    throw error
  }
}

/// splitmix64 (Steele, Lea, Flood 2014): the same numbers from the same seed.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }
}
