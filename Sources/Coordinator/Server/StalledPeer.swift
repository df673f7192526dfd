import NIOCore
import WebSocketTransport

/// Closes a connection whose peer takes nothing of an answer for a time: nobody else would, since a request is under way.
/// It looks at what waits in memory; ``FileRegionWriter`` does the same for files.
final class StalledPeer: ChannelInboundHandler {
  typealias InboundIn = NIOAny

  private let watch: StallWatch

  init(_ watch: StallWatch) { self.watch = watch }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable { watch.end() } else { watch.begin(context) }
    context.fireChannelWritabilityChanged()
  }

  func handlerRemoved(context: ChannelHandlerContext) { watch.end() }
}

/// Closes a connection when its peer has taken too little since the watch began, or since the last look.
///
/// A slow line may need longer than the time for what is written at once: it lives while it takes some of it.
final class StallWatch {
  /// Bytes that the peer has taken so far; nil: nobody knows.
  typealias Progress = (any Channel) -> Int64?

  /// What a peer must take in the time, in bytes: who takes less is as good as gone, and holds a connection for ever.
  static let minimum: Int64 = 16 << 10

  private let timeout: TimeAmount
  private let progress: Progress
  private var timer: Scheduled<Void>?

  init(timeout: TimeAmount, progress: @escaping Progress = StallWatch.bytesAcknowledged) {
    self.timeout = timeout
    self.progress = progress
  }

  func begin(_ context: ChannelHandlerContext) {
    timer?.cancel()
    let before = progress(context.channel)
    timer = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) {
      guard let before, let now = self.progress(context.channel), now - before >= Self.minimum else {
        return context.close(promise: nil)
      }
      self.begin(context)
    }
  }

  func end() {
    timer?.cancel()
    timer = nil
  }

  /// As the kernel counts them.
  static func bytesAcknowledged(on channel: any Channel) -> Int64? {
    channel.pipeline.syncOperations.socketProgress?.taken
  }
}
