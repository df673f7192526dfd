import NIOCore
import NIOPosix
import TLS
import TLSServer
import Testing
import WebSocket

@testable import WebSocketTransport

/// `wss:`.
@Suite(.timeLimit(.minutes(5))) struct SecureWebSocketTests {
  private func withTLSServer(_ body: (Int) async throws -> Void) async throws {
    let context = try TestCertificate.serverContext()
    let upgrader = WebSocketServerUpgrader<Void>(
      configuration: WebSocketConfiguration(compression: nil),
      admit: { _, channel in
        channel.eventLoop.makeSucceededFuture(.accept(session: { JournalSession(Journal(), echoes: true) }))
      }, upgraded: { _, _ in })
    let channel = try await ServerBootstrap(group: loops)
      .childChannelInitializer { child in
        child.eventLoop.makeCompletedFuture {
          let session = try TLSSession(context, role: .server, host: nil)
          try child.pipeline.syncOperations.addHandler(TLSHandler(session, eventLoop: child.eventLoop))
          _ = try upgrader.configurePipeline(of: child) { $0.eventLoop.makeSucceededVoidFuture() }
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    try await body(channel.localAddress?.port ?? 0)
    try await channel.close()
  }

  private func trusting() async throws -> WebSocketClientConfiguration {
    WebSocketClientConfiguration(
      connection: WebSocketConfiguration(compression: nil), tls: try await TestCertificate.clientContext())
  }

  /// Nothing may go past the TLS handler: a direct write would put plain octets on the wire.
  @Test(arguments: ["localhost", "127.0.0.1"])
  func echoes(host: String) async throws {
    try await withTLSServer { port in
      let journal = Journal()
      let connection = try await WebSocketClient.connect(
        url: "wss://\(host):\(port)/", configuration: try await trusting(), eventLoopGroup: loops,
        session: { JournalSession(journal) })
      connection.send(text: "secret")
      connection.send(binary: ByteBuffer(repeating: 1, count: 1 << 20))
      connection.send(text: "end")
      try await journal.first { $0 == .text("end") }
      let messages = journal.entries.filter { if case .writable = $0 { false } else { true } }
      #expect(messages == [.connected, .text("secret"), .binary(1 << 20), .text("end")])
      connection.close()
      #expect(try await journal.closed().cause == .local)
    }
  }

  @Test func anUnknownAuthorityIsRefused() async throws {
    try await withTLSServer { port in
      do throws(WebSocketClientError) {
        _ = try await WebSocketClient.connect(
          url: "wss://localhost:\(port)/", eventLoopGroup: loops, session: { JournalSession(Journal()) })
        Issue.record("connected")
      } catch {
        guard case .unreachable(let reason) = error else {
          Issue.record("\(error)")
          return
        }
        #expect(reason.contains("certificate is not trusted"))
      }
    }
  }
}
