import NIOConcurrencyHelpers

/// RFC 6455 §4.1, step 2: no more than one connection of a program to a remote host and port is being opened at a time,
/// so that a client can't flood a server with handshakes. Others wait for their turn, in order. Hosts are told apart by
/// name: addresses are looked up later, by the system.
final class OpeningTurns: Sendable {
  static let shared = OpeningTurns()

  private struct Waiter {
    let id: UInt64
    let continuation: CheckedContinuation<Void, any Error>
  }

  private struct State {
    /// Those who wait, by host and port; an entry means that somebody has the turn.
    var waiting: [String: [Waiter]] = [:]
    var lastID: UInt64 = 0
  }

  private let state = NIOLockedValueBox(State())

  /// Runs `body` when nobody else is opening a connection there.
  /// - Throws: what `body` throws; `CancellationError` while it waits.
  func take<Value>(_ url: WebSocketURL, _ body: () async throws -> Value) async throws -> Value {
    let key = "\(url.host.lowercased()) \(url.port)"
    try await wait(key)
    defer { leave(key) }
    return try await body()
  }

  private func wait(_ key: String) async throws {
    let id = state.withLockedValue { state in
      state.lastID += 1
      return state.lastID
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        let result: Result<Void, any Error>? = state.withLockedValue { state in
          if Task.isCancelled { return .failure(CancellationError()) }
          guard state.waiting[key] != nil else {
            state.waiting[key] = []
            return .success(())
          }
          state.waiting[key]?.append(Waiter(id: id, continuation: continuation))
          return nil
        }
        if let result { continuation.resume(with: result) }
      }
    } onCancel: {
      let waiter = state.withLockedValue { state -> Waiter? in
        guard let index = state.waiting[key]?.firstIndex(where: { $0.id == id }) else { return nil }
        return state.waiting[key]?.remove(at: index)
      }
      waiter?.continuation.resume(throwing: CancellationError())
    }
  }

  private func leave(_ key: String) {
    let next = state.withLockedValue { state -> Waiter? in
      guard let waiting = state.waiting[key], !waiting.isEmpty else {
        state.waiting[key] = nil
        return nil
      }
      return state.waiting[key]?.removeFirst()
    }
    next?.continuation.resume()
  }
}
