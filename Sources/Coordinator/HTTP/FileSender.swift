import NIOCore
import NIOHTTP1
import NIOPosix
import Store

/// Sends a stretch of a file as an answer's body, or a part of it: the kernel moves it from its cache to the socket
/// (sendfile(2)). The answer's head has been written before.
struct FileSender: Sendable {
  /// Sent at once. Until the peer has taken it, the next is brought into the cache.
  private static let stretch: Int64 = 1 << 20

  let channel: any Channel
  let blocking: NIOThreadPool

  /// Returns when the socket has taken everything.
  func send(_ file: StoredFile, from start: Int64, count: Int64) async throws {
    let handle = NIOFileHandle(_deprecatedTakingOwnershipOfDescriptor: file.descriptor)
    defer { withExtendedLifetime(file) { _ = try? handle.takeDescriptorOwnership() } }
    let end = start + count
    @Sendable func load(from position: Int64) async throws {
      let wanted = min(Self.stretch, end - position)
      guard wanted > 0 else { return }
      let isThere = try await blocking.runIfActive { try file.load(offset: position, count: Int(wanted)) }
      guard isThere else { throw ShortFile() }
    }
    var position = start
    try await load(from: position)
    while position < end {
      try Task.checkCancellation()
      let next = min(position + Self.stretch, end)
      async let following: Void = load(from: next)
      try await write(FileRegion(fileHandle: handle, readerIndex: Int(position), endIndex: Int(next)))
      try await following
      position = next
    }
  }

  private func write(_ region: FileRegion) async throws {
    let channel = channel
    let written = channel.eventLoop.flatSubmit {
      do {
        return try channel.pipeline.syncOperations.handler(type: FileRegionWriter.self).write(region)
      } catch {
        return channel.eventLoop.makeFailedFuture(error)
      }
    }
    // Only the end of the connection takes back what is under way.
    try await withTaskCancellationHandler {
      try await written.get()
    } onCancel: {
      channel.close(promise: nil)
    }
  }
}

/// Where files enter a connection: below the handlers that want an answer's bytes in memory. There is no TLS below.
///
/// Each stretch is watched until the socket has taken all of it: what is left of it may be too little to make the channel
/// unwritable.
final class FileRegionWriter: ChannelOutboundHandler {
  typealias OutboundIn = HTTPServerResponsePart
  typealias OutboundOut = HTTPServerResponsePart

  private let watch: StallWatch
  private var context: ChannelHandlerContext?

  init(_ watch: StallWatch) { self.watch = watch }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func handlerRemoved(context: ChannelHandlerContext) {
    self.context = nil
    watch.end()
  }

  func write(_ region: FileRegion) throws -> EventLoopFuture<Void> {
    guard let context else { throw ChannelError.ioOnClosedChannel }
    watch.begin(context)
    let written = context.writeAndFlush(wrapOutboundOut(.body(.fileRegion(region))))
    written.assumeIsolated().whenComplete { _ in self.watch.end() }
    return written
  }
}
