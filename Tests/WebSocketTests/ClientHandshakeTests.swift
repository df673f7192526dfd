import Testing

@testable import WebSocket

@Suite struct ClientHandshakeTests {
  private static let nonce = Array("the sample nonce".utf8)

  private func handshake(
    subprotocols: [String] = [], deflate: DeflateConfiguration? = nil, additional: [HTTPField] = []
  ) throws -> ClientHandshake {
    try ClientHandshake(
      host: "example.org", target: "/chat?x=1", nonce: Self.nonce, subprotocols: subprotocols, deflate: deflate,
      additional: additional)
  }

  private func response(status: Int = 101, without: String? = nil, with extra: [HTTPField] = []) -> ResponseHead {
    let fields = [
      HTTPField("upgrade", "WebSocket"), HTTPField("connection", "keep-alive, Upgrade"),
      HTTPField("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ]
    return ResponseHead(
      status: status, reason: "", fields: fields.filter { $0.name != without } + extra)
  }

  @Test func theRequest() throws {
    let request = try handshake(
      subprotocols: ["a", "b"], deflate: DeflateConfiguration(), additional: [HTTPField("X-Api-Key", "k")]
    ).request
    let text = String(decoding: request.encoded, as: UTF8.self)
    #expect(
      text == """
        GET /chat?x=1 HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: a, b\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
        client_max_window_bits\r\nX-Api-Key: k\r\n\r\n
        """)
    // And our server takes it.
    #expect(try ServerHandshake(request, deflate: DeflateConfiguration()).deflate != nil)
  }

  @Test func requestsThatMayNotBeSent() {
    func fails(_ body: () throws -> Void) -> Bool {
      do {
        try body()
        return false
      } catch {
        return error is HandshakeFailure
      }
    }
    #expect(fails { _ = try handshake(additional: [HTTPField("X", "a\r\nEvil: 1")]) })
    #expect(fails { _ = try handshake(additional: [HTTPField("X Y", "a")]) })
    #expect(fails { _ = try handshake(additional: [HTTPField("sec-websocket-key", "a")]) })
    #expect(fails { _ = try handshake(subprotocols: ["a", "a"]) })
    #expect(fails { _ = try handshake(subprotocols: ["a b"]) })
    #expect(fails { _ = try ClientHandshake(host: "a\r\nb", target: "/", nonce: Self.nonce) })
    #expect(fails { _ = try ClientHandshake(host: "a", target: "x", nonce: Self.nonce) })
    #expect(fails { _ = try ClientHandshake(host: "a", target: "/ HTTP/1.1", nonce: Self.nonce) })
    #expect(fails { _ = try ClientHandshake(host: "a", target: "/", nonce: [1]) })
  }

  @Test func everyRuleForTheAnswer() throws {
    let plain = try handshake()
    #expect(try plain.verify(response()) == ClientHandshake.Agreement(subprotocol: nil, deflate: nil))
    let broken: [ResponseHead] = [
      response(status: 200), response(without: "upgrade"), response(without: "connection"),
      response(without: "sec-websocket-accept"),
      response(without: "upgrade", with: [HTTPField("Upgrade", "websocket, h2c")]),
      response(without: "connection", with: [HTTPField("Connection", "close")]),
      response(
        without: "sec-websocket-accept", with: [HTTPField("Sec-WebSocket-Accept", "s3pplmbitxaq9kygzzhzrbk+xoo=")]),
      response(with: [HTTPField("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")]),
      response(with: [HTTPField("Sec-WebSocket-Protocol", "a")]),
      response(with: [HTTPField("Sec-WebSocket-Extensions", "permessage-deflate")]),
      response(with: [HTTPField("Sec-WebSocket-Extensions", "")]),
    ]
    for head in broken { #expect(throws: HandshakeFailure.self, "\(head)") { try plain.verify(head) } }
  }

  @Test func subprotocolsOfTheAnswer() throws {
    let offering = try handshake(subprotocols: ["a", "b"])
    #expect(try offering.verify(response()).subprotocol == nil)
    #expect(try offering.verify(response(with: [HTTPField("Sec-WebSocket-Protocol", "b")])).subprotocol == "b")
    for value in ["c", "A", "a, b", ""] {
      let head = response(with: [HTTPField("Sec-WebSocket-Protocol", value)])
      #expect(throws: HandshakeFailure.self, "\(value)") { try offering.verify(head) }
    }
  }

  @Test func extensionsOfTheAnswer() throws {
    let offering = try handshake(
      deflate: DeflateConfiguration(serverContextTakeover: true, clientContextTakeover: true))
    let good = response(with: [HTTPField("Sec-WebSocket-Extensions", "permessage-deflate")])
    #expect(try offering.verify(good).deflate == DeflateAgreement())
    for value in ["permessage-deflate, permessage-deflate", "x-other", "permessage-deflate; x"] {
      let head = response(with: [HTTPField("Sec-WebSocket-Extensions", value)])
      #expect(throws: HandshakeFailure.self, "\(value)") { try offering.verify(head) }
    }
  }
}
