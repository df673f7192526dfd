import NIOCore
import NIOPosix
import NIOSSL
import Testing
import WebSocket

@testable import WebSocketTransport

/// `wss:` with a certificate made for these tests only, valid for localhost and 127.0.0.1.
@Suite(.timeLimit(.minutes(2))) struct TLSTests {
  private func withTLSServer(_ body: (Int) async throws -> Void) async throws {
    let certificate = try NIOSSLCertificate(bytes: Array(testCertificate.utf8), format: .pem)
    let key = try NIOSSLPrivateKey(bytes: Array(testKey.utf8), format: .pem)
    let context = try NIOSSLContext(
      configuration: .makeServerConfiguration(
        certificateChain: [.certificate(certificate)], privateKey: .privateKey(key)))
    let upgrader = WebSocketServerUpgrader<Void>(
      configuration: WebSocketConfiguration(compression: nil),
      admit: { _, channel in
        channel.eventLoop.makeSucceededFuture(.accept(session: { JournalSession(Journal(), echoes: true) }))
      }, upgraded: { _, _ in })
    let channel = try await ServerBootstrap(group: loops)
      .childChannelInitializer { child in
        child.eventLoop.makeCompletedFuture {
          try child.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
          _ = try upgrader.configurePipeline(of: child) { $0.eventLoop.makeSucceededVoidFuture() }
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    try await body(channel.localAddress?.port ?? 0)
    try await channel.close()
  }

  private func trusting() throws -> WebSocketClientConfiguration {
    var tls = TLSConfiguration.makeClientConfiguration()
    tls.trustRoots = .certificates([try NIOSSLCertificate(bytes: Array(testCertificate.utf8), format: .pem)])
    return WebSocketClientConfiguration(connection: WebSocketConfiguration(compression: nil), tls: tls)
  }

  /// Nothing may go past the TLS handler: a direct write would put plain octets on the wire.
  @Test(arguments: ["localhost", "127.0.0.1"])
  func echoes(host: String) async throws {
    try await withTLSServer { port in
      let journal = Journal()
      let connection = try await WebSocketClient.connect(
        url: "wss://\(host):\(port)/", configuration: try trusting(), eventLoopGroup: loops,
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
        #expect(reason.contains("CERTIFICATE_VERIFY_FAILED"))
      }
    }
  }
}

private let testKey = """
  -----BEGIN PRIVATE KEY-----
  MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgwpe5+sTVQw5yNRQ2
  tralcVI2k5cAq+xTfxrHtDzju3ChRANCAARW0KnVJ3RS/uQM94zesAwBrCx/N559
  mDP/TKSRlavgKfWtsiL9GfudlyOli+0+1jUsKCPQYR0KqgYoczmJKrkS
  -----END PRIVATE KEY-----
  """

private let testCertificate = """
  -----BEGIN CERTIFICATE-----
  MIIBmjCCAUGgAwIBAgIUSt125GJzE8nO7RhEpeRUAbwCHV0wCgYIKoZIzj0EAwIw
  FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTA5NDM0NVoYDzIxMjYxMDI4
  MDk0MzQ1WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
  PQMBBwNCAARW0KnVJ3RS/uQM94zesAwBrCx/N559mDP/TKSRlavgKfWtsiL9Gfud
  lyOli+0+1jUsKCPQYR0KqgYoczmJKrkSo28wbTAdBgNVHQ4EFgQUU6avHSB7ctvA
  kcko9vmpxfEDRCswHwYDVR0jBBgwFoAUU6avHSB7ctvAkcko9vmpxfEDRCswDwYD
  VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
  zj0EAwIDRwAwRAIgOjYZ8Wc8Xaa0wWtQwCTAqKhByGyuaco5gwPKWAdCAmQCIGUi
  TLLVRShjrJBXNxBxYXxLDP+IrUm5tF2rBeFGq2jZ
  -----END CERTIFICATE-----
  """
