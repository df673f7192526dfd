import NIOCore
import NIOHTTP1
import WebSocket

extension UpgradeHandler {
  // MARK: Deciding

  func route(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
    if case .deciding(var candidate) = state {
      candidate.parts.append(part)
      state = .deciding(candidate)
      return upgradeIfReady(context)
    }
    if case .head(let head) = part, decide(head, context) { return }
    if hasHTTP { pass(part, context) } else { handOver([part], context) }
  }

  /// True: the request may be upgraded and is kept here until that is known.
  func decide(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) -> Bool {
    guard head.headers.contains(name: "Upgrade") else { return false }
    do throws(HandshakeRejection) {
      state = .deciding(Candidate(parts: [.head(head)], handshake: try upgrader.handshake(head)))
    } catch {
      return false
    }
    ask(context)
    return true
  }

  /// Asks for admission, once all requests before it are answered: limits and credentials count as they are then.
  func ask(_ context: ChannelHandlerContext) {
    guard case .deciding(var candidate) = state, !candidate.isAsked, openResponses == 0,
      case .head(let head)? = candidate.parts.first
    else { return }
    candidate.isAsked = true
    state = .deciding(candidate)
    upgrader.admit(head, context.channel).hop(to: context.eventLoop).assumeIsolated().whenComplete { result in
      guard case .deciding(var candidate) = self.state else { return }
      guard case .success(.accept(let session, let headers, let subprotocol, let limits)) = result else {
        return self.refused(candidate.parts, context)
      }
      candidate.admitted = PendingUpgrade(
        session: session, handshake: candidate.handshake, subprotocol: subprotocol, additional: headers,
        limits: limits)
      self.state = .deciding(candidate)
      self.upgradeIfReady(context)
    }
  }

  private func refused(_ parts: [HTTPServerRequestPart], _ context: ChannelHandlerContext) {
    if hasHTTP {
      state = .http(renews: false)
      for part in parts { pass(part, context) }
      context.fireChannelReadComplete()
    } else {
      handOver(parts, context)
    }
    releaseReads(context)
  }

  // MARK: Upgrading

  func upgradeIfReady(_ context: ChannelHandlerContext) {
    guard case .deciding(let candidate) = state, candidate.isWhole, let admitted = candidate.admitted else { return }
    state = .upgrading(bytes: [])
    let pipeline = context.pipeline.syncOperations
    let head = HTTPResponseHead(version: .http1_1, status: .switchingProtocols, headers: admitted.responseHeaders)
    (hasHTTP ? leaving(context.channel) : context.eventLoop.makeSucceededVoidFuture()).assumeIsolated()
      .flatMap { pipeline.removeHandler(self.decoder) }
      .flatMap { context.writeAndFlush(self.wrapOutboundOut(.head(head))) }
      .flatMap { pipeline.removeHandler(self.encoder) }
      .flatMapThrowing { try self.upgrader.upgrade(context.channel, admitted, before: self, self.takeBytes()) }
      .whenComplete { result in
        switch result {
        case .success(let value): self.upgraded(value, context)
        case .failure(let error):
          self.promise.fail(error)
          context.close(promise: nil)
        }
      }
  }

  /// What was read behind the request.
  private func takeBytes() -> [ByteBuffer] {
    guard case .upgrading(let bytes) = state else { return [] }
    state = .upgrading(bytes: [])
    return bytes
  }

  private func upgraded(_ value: UpgradeResult, _ context: ChannelHandlerContext) {
    guard case .upgrading = state else { return }
    state = .done
    if !hasHTTP { promise.succeed(value) }
    let pipeline = context.pipeline.syncOperations
    // The socket has left; HTTP handlers behind wait for the channel's end.
    guard pipeline.carriesWebSocket else { return context.close(promise: nil) }
    releaseReads(context)
    if !hasHTTP { pipeline.removeHandler(self, promise: nil) }
  }

  // MARK: Ordinary requests

  func handOver(_ parts: [HTTPServerRequestPart], _ context: ChannelHandlerContext) {
    state = .handingOver(parts: parts)
    notUpgrading(context.channel).hop(to: context.eventLoop).assumeIsolated().whenComplete { result in
      guard case .handingOver(let parts) = self.state else { return }
      self.state = .http(renews: false)
      self.hasHTTP = true
      switch result {
      case .success(let value):
        self.promise.succeed(value)
        // The first request was looked at; what came behind it meanwhile was not.
        for (index, part) in parts.enumerated() {
          if index == 0 { self.pass(part, context) } else { self.route(part, context) }
        }
        context.fireChannelReadComplete()
      case .failure(let error):
        self.promise.fail(error)
        context.close(promise: nil)
      }
    }
  }

  func pass(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
    guard case .http(let renews) = state else { return }
    switch part {
    case .head(let head):
      openResponses += 1
      // Behind either the decoder parses nothing more.
      state = .http(renews: head.headers.contains(name: "Upgrade") || head.method == .CONNECT)
      context.fireChannelRead(wrapInboundOut(part))
    case .body:
      context.fireChannelRead(wrapInboundOut(part))
    case .end:
      context.fireChannelRead(wrapInboundOut(part))
      // Last: the new decoder may have the next request at once.
      if renews { renewDecoder(context) }
    }
  }

  private func renewDecoder(_ context: ChannelHandlerContext) {
    state = .renewing(bytes: ByteBuffer())
    let pipeline = context.pipeline.syncOperations
    pipeline.removeHandler(decoder).assumeIsolated().whenComplete { _ in
      guard case .renewing(let bytes) = self.state else { return }
      self.state = .http(renews: false)
      self.decoder = Self.makeDecoder()
      do {
        try pipeline.addHandler(self.decoder, position: .before(self))
        guard bytes.readableBytes > 0 else { return }
        self.decoder.channelRead(context: try pipeline.context(handler: self.decoder), data: NIOAny(bytes))
      } catch {
        context.close(promise: nil)
      }
    }
  }
}
