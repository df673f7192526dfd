import NIOConcurrencyHelpers
import NIOCore
import WebSocket

/// What the connections of one event loop share. Used on that loop only.
final class LoopResources {
  let eventLoop: any EventLoop
  let pool = DeflatePool()
  let wheel: DeadlineWheel
  /// Where small writes of one connection are put together.
  var gather: UnsafeMutableRawBufferPointer { gatherBuffer.bytes }
  private lazy var gatherBuffer = ScratchBuffer(size: Self.gatherSize)
  /// Default 64 KiB; larger runs are written buffer by buffer.
  static let gatherSize = 64 << 10
  private var waiting: [WebSocketEndpoint] = []

  init(eventLoop: any EventLoop) {
    self.eventLoop = eventLoop
    wheel = DeadlineWheel(eventLoop: eventLoop)
  }

  /// Has the endpoint flush after this turn of the loop, together with all others: one task for however many.
  func flushSoon(_ endpoint: WebSocketEndpoint) {
    waiting.append(endpoint)
    guard waiting.count == 1 else { return }
    eventLoop.assumeIsolated().execute { self.flush() }
  }

  private func flush() {
    let due = waiting
    waiting = []
    for endpoint in due { endpoint.flush() }
    // Keeps the array's storage for the next turn.
    if waiting.isEmpty {
      waiting = due
      waiting.removeAll(keepingCapacity: true)
    }
  }
}

/// One `LoopResources` for each event loop of a server.
final class LoopResourcesMap: Sendable {
  private let entries = NIOLockedValueBox<[ObjectIdentifier: NIOLoopBound<LoopResources>]>([:])

  /// Must be called on the loop.
  func resources(for eventLoop: any EventLoop) -> LoopResources {
    eventLoop.preconditionInEventLoop()
    return entries.withLockedValue { entries in
      let key = ObjectIdentifier(eventLoop)
      if let entry = entries[key] { return entry }
      let entry = NIOLoopBound(LoopResources(eventLoop: eventLoop), eventLoop: eventLoop)
      entries[key] = entry
      return entry
    }.value
  }
}
