public import NIOCore
public import NIOHTTP1

/// For a pipeline made by `configureUpgradableHTTPServerPipeline`. Mind that NIO's handler there loses the head of every
/// request with an `Upgrade` header that is not upgraded, so a refusal cannot be answered: `configurePipeline(of:)` has
/// no such gap.
extension WebSocketServerUpgrader: NIOTypedHTTPServerProtocolUpgrader {
  public var supportedProtocol: String { "websocket" }
  /// None: the rules are checked here.
  public var requiredUpgradeHeaders: [String] { [] }

  public func buildUpgradeResponse(
    channel: any Channel, upgradeRequest: HTTPRequestHead, initialResponseHeaders: HTTPHeaders
  ) -> EventLoopFuture<HTTPHeaders> {
    let eventLoop = channel.eventLoop
    return eventLoop.makeCompletedFuture { try handshake(upgradeRequest) }.flatMap { handshake in
      self.admit(upgradeRequest, channel).hop(to: eventLoop).flatMapThrowing { admission in
        guard case .accept(let session, let additional, let subprotocol) = admission else {
          throw WebSocketUpgradeRefused()
        }
        let pending = PendingUpgrade(
          session: session, handshake: handshake, subprotocol: subprotocol, additional: additional)
        try channel.pipeline.syncOperations.addHandler(PendingUpgradeHolder(pending))
        return pending.responseHeaders
      }
    }
  }

  public func upgrade(channel: any Channel, upgradeRequest: HTTPRequestHead) -> EventLoopFuture<UpgradeResult> {
    channel.eventLoop.makeCompletedFuture {
      let holder = try channel.pipeline.syncOperations.handler(type: PendingUpgradeHolder.self)
      channel.pipeline.syncOperations.removeHandler(holder, promise: nil)
      return try self.upgrade(channel, holder.pending)
    }
  }
}

/// `admit` refused.
private struct WebSocketUpgradeRefused: Error {}

/// Carries what was decided from one call of NIO's to the next. Dies with its pipeline.
private final class PendingUpgradeHolder: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = NIOAny

  let pending: PendingUpgrade

  init(_ pending: PendingUpgrade) { self.pending = pending }
}
