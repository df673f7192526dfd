import CEpoll
import NIOCore

/// Closes a connection whose peer takes nothing of an answer for a time: nobody else would, since a request is under way.
final class StalledPeer: ChannelInboundHandler {
  typealias InboundIn = NIOAny
  /// Bytes that the peer has taken so far; nil: nobody knows.
  typealias Progress = (any Channel) -> Int64?

  private let timeout: TimeAmount
  private let progress: Progress
  private var timer: Scheduled<Void>?

  init(timeout: TimeAmount, progress: @escaping Progress = StalledPeer.bytesAcknowledged) {
    self.timeout = timeout
    self.progress = progress
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    timer?.cancel()
    timer = nil
    if !context.channel.isWritable { watch(context) }
    context.fireChannelWritabilityChanged()
  }

  func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

  /// A slow line may need longer than the time for what is written at once: it lives while it takes some of it.
  private func watch(_ context: ChannelHandlerContext) {
    let before = progress(context.channel)
    timer = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) {
      guard let before, let now = self.progress(context.channel), now > before else {
        return context.close(promise: nil)
      }
      self.watch(context)
    }
  }

  /// As the kernel counts them.
  static func bytesAcknowledged(on channel: any Channel) -> Int64? {
    let count = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
      aitbc_bytes_acknowledged($0)
    }
    guard let count, count >= 0 else { return nil }
    return count
  }
}
