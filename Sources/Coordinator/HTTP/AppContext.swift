import Hummingbird
import NIOCore
import Synchronization

/// What a request carries through the routes.
struct AppContext: RequestContext {
  var coreContext: CoreRequestContextStorage
  /// Where it came from; nil for a socket without an address.
  let remoteAddress: SocketAddress?
  let channel: any Channel

  init(source: ApplicationRequestContextSource) {
    coreContext = .init(source: source)
    remoteAddress = source.channel.remoteAddress
    channel = source.channel
  }

  /// Tells a client that waits for it to send the request's body. Without effect when an answer has begun.
  func sendContinue() {
    let channel = channel
    channel.eventLoop.execute {
      guard let context = try? channel.pipeline.syncOperations.context(handlerType: RequestGuard.self) else { return }
      (context.handler as? RequestGuard)?.sendContinue(context)
    }
  }

  /// Watches for the peer to close its side: a client that waits for a long answer and has had enough. `body` is called
  /// then, once; the flag tells it at any time.
  func peerHasGone(atOnce body: @escaping @Sendable () -> Void) -> PeerFlag {
    let (flag, channel) = (PeerFlag(), channel)
    channel.eventLoop.execute {
      guard let watch = try? channel.pipeline.syncOperations.handler(type: PeerWatch.self) else { return }
      watch.expect {
        flag.set()
        body()
      }
    }
    return flag
  }
}

/// Set once, when the peer has closed its side.
final class PeerFlag: Sendable {
  private let flag = Atomic<Bool>(false)
  var isSet: Bool { flag.load(ordering: .acquiring) }
  func set() { flag.store(true, ordering: .releasing) }
}

/// Notes the end of what a peer sends. The server lets it close its side and still reads the answer, so the channel
/// itself stays open.
final class PeerWatch: ChannelInboundHandler {
  typealias InboundIn = NIOAny

  private var isGone = false
  /// The latest request's wish only: a connection may serve any number.
  private var body: (() -> Void)?

  /// Calls `body` when the peer has gone, now if it has.
  func expect(_ body: @escaping () -> Void) {
    self.body = body
    if isGone { tell() }
  }

  private func tell() {
    isGone = true
    body?()
    body = nil
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .inputClosed? = event as? ChannelEvent { tell() }
    context.fireUserInboundEventTriggered(event)
  }

  func channelInactive(context: ChannelHandlerContext) {
    tell()
    context.fireChannelInactive()
  }
}
