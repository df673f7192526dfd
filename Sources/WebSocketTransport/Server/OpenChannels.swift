import NIOConcurrencyHelpers
public import NIOCore

/// The accepted channels of a server, to stop them.
public final class OpenChannels: Sendable {
  private let channels = NIOLockedValueBox<[ObjectIdentifier: any Channel]>([:])

  public init() {}

  /// Keeps the channel until it is closed.
  public func add(_ channel: any Channel) {
    let key = ObjectIdentifier(channel)
    channels.withLockedValue { $0[key] = channel }
    channel.closeFuture.whenComplete { _ in self.channels.withLockedValue { $0[key] = nil } }
  }

  /// Tells every channel that the server stops, and waits until all are closed.
  func quiesce() async {
    let open = channels.withLockedValue { Array($0.values) }
    for channel in open {
      channel.eventLoop.execute {
        let pipeline = channel.pipeline.syncOperations
        if pipeline.carriesWebSocket {
          pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        } else {
          channel.close(promise: nil)
        }
      }
    }
    for channel in open { try? await channel.closeFuture.get() }
  }

  /// Closes every channel at once, whatever is under way on it.
  /// - Returns: how many there were.
  @discardableResult
  public func closeAll() -> Int {
    let open = channels.withLockedValue { Array($0.values) }
    for channel in open { channel.close(promise: nil) }
    return open.count
  }
}
