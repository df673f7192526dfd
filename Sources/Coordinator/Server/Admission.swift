import Marketplace
import NIOCore
import NIOHTTP1
import WebSocket
import WebSocketTransport
import Wire

/// Makes sessions for the handshakes that the gate admits.
struct Admission: Sendable {
  let market: Market
  let gate: FeedGate
  let origins: OriginPolicy

  func upgrader() -> WebSocketServerUpgrader<MarketChannel.Kind> {
    WebSocketServerUpgrader(
      configuration: WebSocketConfiguration(
        pingInterval: .milliseconds(market.configuration.pingInterval.milliseconds),
        pongTimeout: .milliseconds(market.configuration.pongTimeout.milliseconds)),
      origins: origins,
      admit: { head, channel in
        channel.eventLoop.makeFutureWithTask { await admit(head, from: channel.remoteAddress) }
      },
      malformed: { error in
        let fault = RequestFault(error)
        return (HTTPResponseHead(fault.head), ByteBuffer(bytes: fault.body))
      },
      upgraded: { _, _ in .webSocket })
  }

  private func admit(_ head: HTTPRequestHead, from address: SocketAddress?) async -> WebSocketAdmission {
    guard case .admit(let target, let resume) = await gate.decide(head) else { return .refuse }
    switch target {
    case .miner(let identity):
      return .accept(
        session: {
          WebSocketStream.serving { stream in
            await MinerSession(market: market, identity: identity, stream: stream).run()
          }
        }, limits: Self.minerLimits)
    case .account(let identity): return feed(.account, identity, resume, target, address)
    case .job(let job, let identity): return feed(.job(job), identity, resume, target, address)
    }
  }

  /// 16 MiB for a miner's message: the end of a try names all its artifacts, 10,000 by default, with paths of up to 1,024
  /// bytes.
  private static var minerLimits: Limits {
    Limits(maximumFrameSize: 16 << 20, maximumMessageSize: 16 << 20, deflateBomb: 16 << 20)
  }

  private func feed(
    _ scope: FeedScope, _ identity: Identity?, _ resume: FeedResume?, _ target: FeedGate.Target,
    _ address: SocketAddress?
  ) -> WebSocketAdmission {
    guard let ticket = try? gate.ticket(target, address: address?.ipAddress) else { return .refuse }
    // A feed's messages are commands: what is longer is refused before it is buffered.
    let size = market.hub.limits.messageSize
    return .accept(
      session: {
        market.hub.session(
          scope: scope, account: identity?.account, resume: resume, ticket: ticket, keyHash: identity?.keyHash)
      },
      limits: Limits(maximumFrameSize: size, maximumMessageSize: size, deflateBomb: size))
  }
}
