import Hummingbird
import NIOCore

/// What a request carries through the routes.
struct AppContext: RequestContext {
  var coreContext: CoreRequestContextStorage
  /// Where it came from; nil for a socket without an address.
  let remoteAddress: SocketAddress?

  init(source: ApplicationRequestContextSource) {
    coreContext = .init(source: source)
    remoteAddress = source.channel.remoteAddress
  }
}
