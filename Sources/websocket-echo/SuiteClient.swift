import NIOCore
import WebSocketTransport

/// The client that Autobahn's fuzzing server tests: it asks for the number of cases, runs each as an echo, and has the
/// report written.
struct SuiteClient {
  /// Without the last slash, such as `ws://127.0.0.1:9001`.
  let url: String
  /// The name in the report; letters, digits and hyphens.
  let agent: String
  let configuration: WebSocketClientConfiguration
  let eventLoopGroup: any EventLoopGroup

  struct NoCases: Error, CustomStringConvertible {
    let description = "the server does not tell how many cases there are"
  }

  /// Returns the number of cases.
  func run() async throws -> Int {
    guard let text = try await ask("/getCaseCount"), let count = Int(text) else { throw NoCases() }
    for number in 1...max(count, 1) where number <= count {
      _ = try await echo("/runCase?case=\(number)&agent=\(agent)")
    }
    _ = try await echo("/updateReports?agent=\(agent)")
    return count
  }

  private func echo(_ target: String) async throws -> WebSocketCloseReason {
    let ended = eventLoopGroup.next().makePromise(of: WebSocketCloseReason.self)
    do {
      _ = try await connect(target) { EchoSession(ended: ended) }
    } catch {
      ended.fail(error)
    }
    return try await ended.futureResult.get()
  }

  private func ask(_ target: String) async throws -> String? {
    let answer = eventLoopGroup.next().makePromise(of: String?.self)
    do {
      _ = try await connect(target) { EchoSession(firstText: answer) }
    } catch {
      answer.fail(error)
    }
    return try await answer.futureResult.get()
  }

  private func connect(
    _ target: String, session: @escaping @Sendable () -> any WebSocketSession
  ) async throws -> WebSocketConnection {
    try await WebSocketClient.connect(
      url: url + target, configuration: configuration, eventLoopGroup: eventLoopGroup, session: session)
  }
}
