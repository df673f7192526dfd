import NIOConcurrencyHelpers
import Testing

@testable import WebSocketTransport

/// RFC 6455 §4.1, step 2.
@Suite(.timeLimit(.minutes(5))) struct OpeningTurnsTests {
  @Test func oneAtATimeForAHostAndPort() async throws {
    let turns = OpeningTurns()
    let counts = NIOLockedValueBox((now: 0, most: 0))
    let url = try WebSocketURL("ws://a.example/x")
    let same = try WebSocketURL("ws://A.example:80/y")
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<40 {
        group.addTask {
          try await turns.take(number % 2 == 0 ? url : same) {
            counts.withLockedValue {
              $0.now += 1
              $0.most = max($0.most, $0.now)
            }
            for _ in 0..<5 { await Task.yield() }
            counts.withLockedValue { $0.now -= 1 }
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(counts.withLockedValue { $0.most } == 1)
  }

  @Test func othersDoNotWait() async throws {
    let turns = OpeningTurns()
    let entered = NIOLockedValueBox(0)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for url in ["ws://a/", "ws://b/", "ws://a:81/", "wss://a/"] {
        let url = try WebSocketURL(url)
        group.addTask {
          try await turns.take(url) {
            entered.withLockedValue { $0 += 1 }
            while entered.withLockedValue({ $0 }) < 4 { await Task.yield() }
          }
        }
      }
      try await group.waitForAll()
    }
  }

  @Test func aFailureAndACancellationGiveTheTurnOn() async throws {
    struct Failure: Error {}
    let turns = OpeningTurns()
    let url = try WebSocketURL("ws://a/")
    await #expect(throws: Failure.self) { try await turns.take(url) { throw Failure() } }
    let isFree = NIOLockedValueBox(false)
    let holder = Task {
      try await turns.take(url) { while !isFree.withLockedValue({ $0 }) { await Task.yield() } }
    }
    let waiter = Task { try await turns.take(url) {} }
    let canceled = Task { try await turns.take(url) {} }
    canceled.cancel()
    await #expect(throws: CancellationError.self) { try await canceled.value }
    isFree.withLockedValue { $0 = true }
    try await holder.value
    try await waiter.value
    try await turns.take(url) {}
  }
}
