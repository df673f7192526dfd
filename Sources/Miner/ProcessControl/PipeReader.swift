public import NIOCore
import NIOPosix

/// The reading end of a pipe, as a sequence of chunks with back-pressure: the next chunk is read from the pipe only
/// when it is asked for, so a payload that writes faster than we can store is held up by the kernel, not by our memory.
///
/// It stands on a NIO event loop, because a blocking `read(2)` would take a thread of Swift's cooperative pool, of
/// which there are only as many as processors. One reader, one consumer.
public struct PipeReader: AsyncSequence, Sendable {
  public typealias Element = ByteBuffer

  /// The largest chunk, in bytes.
  public static let chunkBytes = 65_536

  private let channel: any Channel
  private let handler: NIOLoopBound<PipeHandler>

  /// Takes the descriptor over.
  static func open(_ descriptor: consuming Descriptor, on group: any EventLoopGroup) async throws -> PipeReader {
    let number = descriptor.release()
    do {
      return try await NIOPipeBootstrap(group: group)
        .channelOption(.autoRead, value: false)
        .channelOption(.maxMessagesPerRead, value: 1)
        .channelOption(
          .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: chunkBytes)
        )
        .takingOwnershipOfDescriptor(input: number) { channel in
          channel.eventLoop.makeCompletedFuture {
            let handler = PipeHandler()
            try channel.pipeline.syncOperations.addHandler(handler)
            return PipeReader(
              channel: channel, handler: NIOLoopBound(handler, eventLoop: channel.eventLoop))
          }
        }
    } catch {
      // The bootstrap leaves a descriptor that it refused to its caller.
      _ = Descriptor(owning: number)
      throw error
    }
  }

  /// Stops reading; the consumer gets the end of the sequence. May be called at any time, also twice.
  public func close() { channel.close(promise: nil) }

  public func makeAsyncIterator() -> Iterator { Iterator(reader: self) }

  public struct Iterator: AsyncIteratorProtocol {
    let reader: PipeReader

    /// The next chunk; nil when every writing end is closed. Returns also when the task is canceled: the pipe is then
    /// closed.
    public mutating func next() async throws -> ByteBuffer? {
      let reader = reader
      return try await withTaskCancellationHandler {
        try await reader.channel.eventLoop.flatSubmit { reader.handler.value.next(on: reader.channel) }.get()
      } onCancel: {
        reader.close()
      }
    }
  }
}

/// Holds what was read and not asked for yet. That is more than one chunk only at the end, when the kernel hands out
/// the rest of the pipe at once: at most its capacity (64 KiB).
private final class PipeHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private var chunks = CircularBuffer<ByteBuffer>()
  private var waiting: EventLoopPromise<ByteBuffer?>?
  private var ended = false

  func next(on channel: any Channel) -> EventLoopFuture<ByteBuffer?> {
    if let chunk = chunks.popFirst() { return channel.eventLoop.makeSucceededFuture(chunk) }
    if ended { return channel.eventLoop.makeSucceededFuture(nil) }
    if let waiting { return waiting.futureResult }
    let promise = channel.eventLoop.makePromise(of: ByteBuffer?.self)
    waiting = promise
    channel.read()
    return promise.futureResult
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    chunks.append(unwrapInboundIn(data))
    guard let waiting else { return }
    self.waiting = nil
    waiting.succeed(chunks.removeFirst())
  }

  func channelInactive(context: ChannelHandlerContext) {
    ended = true
    waiting?.succeed(nil)
    waiting = nil
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
