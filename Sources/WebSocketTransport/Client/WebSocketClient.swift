public import NIOCore
import Cryptography
import NIOPosix
public import TLS
import WebSocket

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// What a client needs beyond the connection's own configuration.
public struct WebSocketClientConfiguration: Sendable {
  public var connection: WebSocketConfiguration
  /// Offered in `Sec-WebSocket-Protocol`, in order of preference.
  public var subprotocols: [String]
  /// For TCP, TLS and the answer to the handshake together. Default 10 s.
  public var connectTimeout: TimeAmount
  /// For `wss:`. Nil, the default: trusts the system's certificate authorities.
  public var tls: TLSContext?

  public init(
    connection: WebSocketConfiguration = WebSocketConfiguration(), subprotocols: [String] = [],
    connectTimeout: TimeAmount = .seconds(10), tls: TLSContext? = nil
  ) {
    self.connection = connection
    self.subprotocols = subprotocols
    self.connectTimeout = connectTimeout
    self.tls = tls
  }
}

/// Opens WebSocket connections.
public enum WebSocketClient {
  /// Connects, does the handshakes of TLS and WebSocket, and returns the open connection.
  /// - Parameters:
  ///   - url: `ws:` or `wss:`.
  ///   - headers: added to the request, such as credentials.
  ///   - session: makes the session, on the connection's event loop.
  ///
  /// Connections to one host and port are opened one after the other (RFC 6455 §4.1).
  /// - Throws: `WebSocketClientError`; `.refused` carries the server's status, headers and body.
  public static func connect(
    url: String, headers: [(String, String)] = [],
    configuration: WebSocketClientConfiguration = WebSocketClientConfiguration(), eventLoopGroup: any EventLoopGroup,
    session: @escaping @Sendable () -> any WebSocketSession
  ) async throws(WebSocketClientError) -> WebSocketConnection {
    let url = try WebSocketURL(url)
    let handshake: ClientHandshake
    do throws(HandshakeFailure) {
      handshake = try ClientHandshake(
        host: url.authority, target: url.target, nonce: SecureRandom.bytes(16),
        subprotocols: configuration.subprotocols, deflate: configuration.connection.compression,
        additional: headers.map { HTTPField($0.0, $0.1) })
    } catch {
      throw .invalidRequest(error)
    }
    let opening = Opening(url: url, handshake: handshake, configuration: configuration, session: session)
    do {
      return try await OpeningTurns.shared.take(url) { try await opening.run(on: eventLoopGroup.next()) }
    } catch let error as WebSocketClientError {
      throw error
    } catch {
      throw .unreachable("\(error)")
    }
  }
}

/// One attempt to connect.
private struct Opening: Sendable {
  let url: WebSocketURL
  let handshake: ClientHandshake
  let configuration: WebSocketClientConfiguration
  let session: @Sendable () -> any WebSocketSession

  /// Why no address of the host could be connected to, in the system's words.
  private static func reason(_ error: any Error) -> String {
    guard let failure = error as? NIOConnectionError else { return "\(error)" }
    guard let last = failure.connectionErrors.last else { return "\(failure.host) is not known" }
    guard let reason = last.error as? IOError, let text = strerror(reason.errnoCode) else { return "\(last.error)" }
    return String(cString: text).lowercased()
  }

  func run(on eventLoop: any EventLoop) async throws -> WebSocketConnection {
    try await openConnection(
      to: url.host, port: url.port, tls: url.isSecure ? try configuration.tls ?? TLSContext() : nil,
      before: .now() + configuration.connectTimeout, timedOut: WebSocketClientError.timedOut, on: eventLoop,
      explain: { WebSocketClientError.unreachable(Self.reason($0)) }
    ) { channel, _, opened in
      let connectionConfiguration = Shared(configuration.connection)
      let session = self.session
      let handler = ClientHandshakeHandler(handshake: handshake, promise: opened) { agreement, channel in
        let connection = WebSocketConnection(
          eventLoop: channel.eventLoop, remoteAddress: channel.remoteAddress, subprotocol: agreement.subprotocol,
          compression: agreement.deflate)
        return WebSocketEndpoint(
          role: .client, configuration: connectionConfiguration, connection: connection,
          resources: LoopResources(eventLoop: channel.eventLoop), session: session())
      }
      try channel.pipeline.syncOperations.addHandler(handler)
    }
  }
}
