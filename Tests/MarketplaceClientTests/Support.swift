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
