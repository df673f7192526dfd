public import NIOCore

/// TLS between a socket and the handlers behind it. Writes wait until the handshake is done.
public final class TLSHandler: ChannelDuplexHandler {
  public typealias InboundIn = ByteBuffer
  public typealias InboundOut = ByteBuffer
  public typealias OutboundIn = ByteBuffer
  public typealias OutboundOut = ByteBuffer

  private enum State { case handshaking, open, closed }

  /// Kept when the handshake is done; fails with a ``TLSFailure``.
  public var handshake: EventLoopFuture<Void> { ready.futureResult }

  private let session: TLSSession
  private let ready: EventLoopPromise<Void>
  private var state = State.handshaking
  private var waiting: [(ByteBuffer, EventLoopPromise<Void>?)] = []
  private var closing: (mode: CloseMode, promise: EventLoopPromise<Void>?)?
  /// A read was asked for from behind, and nothing was handed on since.
  private var isAwaited = false
  private var sawEnd = false

  /// For a client. `host`: the name or address that the server's certificate must be for.
  public convenience init(_ context: TLSContext, host: String, eventLoop: any EventLoop) throws(TLSFailure) {
    self.init(try TLSSession(context, role: .client, host: host), eventLoop: eventLoop)
  }

  package init(_ session: TLSSession, eventLoop: any EventLoop) {
    self.session = session
    ready = eventLoop.makePromise()
  }

  deinit { ready.fail(TLSFailure.closedInHandshake) }

  public func handlerAdded(context: ChannelHandlerContext) {
    if context.channel.isActive { advance(context) }
  }

  public func handlerRemoved(context: ChannelHandlerContext) { end(.closedInHandshake) }

  public func channelActive(context: ChannelHandlerContext) {
    advance(context)
    context.fireChannelActive()
  }

  public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard state != .closed else { return }
    do throws(TLSFailure) {
      try session.receive(unwrapInboundIn(data))
      if state == .handshaking { try shakeHands(context) }
      if state == .open { try deliver(context) }
    } catch {
      fail(error, context)
    }
  }

  public func channelReadComplete(context: ChannelHandlerContext) {
    context.fireChannelReadComplete()
    // A part of a record, or of the handshake: nobody behind can know that more must be read.
    if state == .handshaking || isAwaited { context.read() }
  }

  public func read(context: ChannelHandlerContext) {
    isAwaited = true
    context.read()
  }

  public func channelInactive(context: ChannelHandlerContext) {
    let wasOpen = state == .open && !sawEnd
    end(.closedInHandshake)
    if wasOpen { context.fireErrorCaught(TLSFailure.truncated) }
    context.fireChannelInactive()
  }

  public func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    guard state != .closed, closing == nil else {
      promise?.fail(ChannelError.ioOnClosedChannel)
      return
    }
    waiting.append((unwrapOutboundIn(data), promise))
  }

  public func flush(context: ChannelHandlerContext) {
    if state == .open { send(context) }
    context.flush()
  }

  public func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    switch (state, mode) {
    case (.handshaking, .output): closing = (mode, promise)
    case (.open, .output), (.open, .all):
      send(context)
      session.shutdown()
      flushOutput(context)
      if mode == .all { end(.closedInHandshake) }
      context.close(mode: mode, promise: promise)
    default:
      if mode == .all { end(.closedInHandshake) }
      context.close(mode: mode, promise: promise)
    }
  }

  private func advance(_ context: ChannelHandlerContext) {
    guard state == .handshaking else { return }
    do throws(TLSFailure) { try shakeHands(context) } catch { fail(error, context) }
  }

  private func shakeHands(_ context: ChannelHandlerContext) throws(TLSFailure) {
    do throws(TLSFailure) {
      if try session.handshake() { state = .open }
    } catch {
      // The peer is told why (an alert), as far as OpenSSL has written one.
      flushOutput(context)
      throw error
    }
    flushOutput(context)
    guard state == .open else { return }
    ready.succeed()
    send(context)
    if let closing {
      self.closing = nil
      close(context: context, mode: closing.mode, promise: closing.promise)
    }
  }

  private func deliver(_ context: ChannelHandlerContext) throws(TLSFailure) {
    var plain = context.channel.allocator.buffer(capacity: 16 << 10)
    var reading = TLSSession.Reading.bytes
    while reading == .bytes, plain.readableBytes < 256 << 10 { reading = try session.read(into: &plain) }
    flushOutput(context)
    if plain.readableBytes > 0 {
      isAwaited = false
      context.fireChannelRead(wrapInboundOut(plain))
    }
    if reading == .bytes, state == .open { try deliver(context) }
    if reading == .closed, !sawEnd {
      sawEnd = true
      // The peer may leave TCP open behind its `close_notify`. Nobody here goes on with half a connection.
      close(context: context, mode: .all, promise: nil)
    }
  }

  /// Encrypts what waits. Each piece keeps its own promise, so that its writer sees how far the socket has come.
  private func send(_ context: ChannelHandlerContext) {
    guard !waiting.isEmpty else { return }
    let pieces = waiting
    waiting = []
    for (index, (buffer, promise)) in pieces.enumerated() {
      do throws(TLSFailure) {
        try session.write(buffer)
      } catch {
        for (_, promise) in pieces[index...] { promise?.fail(error) }
        return fail(error, context)
      }
      writeOutput(context, promise: promise)
    }
    context.flush()
  }

  private func writeOutput(_ context: ChannelHandlerContext, promise: EventLoopPromise<Void>?) {
    guard let output = session.takeOutput() else {
      promise?.succeed()
      return
    }
    context.write(wrapOutboundOut(output), promise: promise)
  }

  private func flushOutput(_ context: ChannelHandlerContext) {
    writeOutput(context, promise: nil)
    context.flush()
  }

  private func fail(_ error: TLSFailure, _ context: ChannelHandlerContext) {
    guard state != .closed else { return }
    end(error)
    context.fireErrorCaught(error)
    context.close(promise: nil)
  }

  /// Nothing goes in or out any more.
  private func end(_ error: TLSFailure) {
    guard state != .closed else { return }
    if state == .handshaking { ready.fail(error) }
    state = .closed
    for (_, promise) in waiting { promise?.fail(ChannelError.ioOnClosedChannel) }
    waiting = []
    closing?.promise?.fail(ChannelError.ioOnClosedChannel)
    closing = nil
  }
}
