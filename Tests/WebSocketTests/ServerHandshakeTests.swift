import Testing

@testable import WebSocket

@Suite struct ServerHandshakeTests {
  private func request(
    method: String = "GET", minor: Int = 1, without: String? = nil, with extra: [HTTPField] = [],
    replacing: [HTTPField] = []
  ) -> RequestHead {
    var fields = [
      HTTPField("Host", "example.org"), HTTPField("Upgrade", "websocket"), HTTPField("Connection", "Upgrade"),
      HTTPField("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), HTTPField("Sec-WebSocket-Version", "13"),
    ]
    fields.removeAll { $0.name == without }
    for field in replacing {
      fields.removeAll { $0.name == field.name }
      fields.append(field)
    }
    return RequestHead(method: method, target: "/chat", minorVersion: minor, fields: fields + extra)
  }

  private func status(_ request: RequestHead, origins: OriginPolicy = .any) -> Int {
    do throws(HandshakeRejection) {
      _ = try ServerHandshake(request, origins: origins)
      return 101
    } catch {
      return error.status
    }
  }

  @Test func theRFCsExample() throws {
    let handshake = try ServerHandshake(
      request(with: [HTTPField("Sec-WebSocket-Protocol", "chat, superchat"), HTTPField("Origin", "http://example.com")])
    )
    #expect(handshake.accept == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    #expect(handshake.requestedSubprotocols == ["chat", "superchat"])
    #expect(handshake.subprotocol(among: ["superchat", "chat"]) == "chat")
    #expect(handshake.subprotocol(among: ["other"]) == nil)
    let text = String(decoding: handshake.response(subprotocol: "chat").encoded, as: UTF8.self)
    #expect(
      text == """
        HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n
        """)
    #expect(!handshake.responseFields(subprotocol: "other").contains { $0.name == "Sec-WebSocket-Protocol" })
  }

  @Test func everyRule() {
    #expect(status(request()) == 101)
    #expect(status(request(method: "POST")) == 400)
    #expect(status(request(method: "get")) == 400)
    #expect(status(request(minor: 0)) == 400)
    #expect(status(request(without: "Host")) == 400)
    #expect(status(request(with: [HTTPField("Host", "b")])) == 400)
    #expect(status(request(without: "Upgrade")) == 426)
    #expect(status(request(replacing: [HTTPField("Upgrade", "h2c")])) == 426)
    #expect(status(request(replacing: [HTTPField("Upgrade", "h2c, WebSocket")])) == 101)
    #expect(status(request(replacing: [HTTPField("Upgrade", "websocket2")])) == 426)
    #expect(status(request(without: "Connection")) == 400)
    #expect(status(request(replacing: [HTTPField("Connection", "close")])) == 400)
    #expect(status(request(replacing: [HTTPField("Connection", "keep-alive, upgrade")])) == 101)
    #expect(status(request(without: "Sec-WebSocket-Key")) == 400)
    #expect(status(request(with: [HTTPField("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")])) == 400)
    #expect(status(request(with: [HTTPField("Content-Length", "0")])) == 101)
    #expect(status(request(with: [HTTPField("Content-Length", "5")])) == 400)
    #expect(status(request(with: [HTTPField("Transfer-Encoding", "chunked")])) == 400)
  }

  @Test(arguments: [
    "", "x", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ===", "dGhlIHNhbXBsZSBub25j", "dGhlIHNhbXBsZSBub25jZXg=",
    "dGhlIHNhbXBsZSBub25jZR==", "dGhlIHNhbXBsZSBub25jZ!==", "dGhlIHNh bXBsZSBub25jZQ==",
  ])
  func badKeys(key: String) { #expect(status(request(replacing: [HTTPField("Sec-WebSocket-Key", key)])) == 400) }

  @Test(arguments: ["", "8", "12", "14", "013", "13, 8", "13.0"])
  func wrongVersions(version: String) throws {
    let wrong = request(replacing: [HTTPField("Sec-WebSocket-Version", version)])
    do throws(HandshakeRejection) {
      _ = try ServerHandshake(wrong)
      Issue.record("accepted")
    } catch {
      #expect(error.status == 426)
      #expect(error.fields.contains(HTTPField("Sec-WebSocket-Version", "13")))
      #expect(error.fields.contains(HTTPField("Upgrade", "websocket")))
    }
  }

  @Test func versionsThatAreMissingOrTwice() {
    #expect(status(request(without: "Sec-WebSocket-Version")) == 426)
    #expect(status(request(with: [HTTPField("Sec-WebSocket-Version", "13")])) == 400)
  }

  @Test(arguments: [("chat", 101), ("chat,superchat", 101), ("chat, chat", 400), ("cha t", 400), ("", 400), (",", 400)])
  func subprotocols(value: String, expected: Int) {
    #expect(status(request(with: [HTTPField("Sec-WebSocket-Protocol", value)])) == expected)
  }

  @Test func extensions() throws {
    let malformed = request(with: [HTTPField("Sec-WebSocket-Extensions", "permessage-deflate;")])
    #expect(status(malformed) == 400)
    let offer = request(with: [
      HTTPField("Sec-WebSocket-Extensions", "x-other"), HTTPField("Sec-WebSocket-Extensions", "permessage-deflate"),
    ])
    let accepted = try ServerHandshake(offer, deflate: DeflateConfiguration())
    #expect(accepted.deflate?.serverNoContextTakeover == true)
    #expect(accepted.responseFields().contains { $0.name == "Sec-WebSocket-Extensions" })
    let declined = try ServerHandshake(offer)
    #expect(declined.deflate == nil)
    #expect(!declined.responseFields().contains { $0.name == "Sec-WebSocket-Extensions" })
  }

  @Test(arguments: [
    ("http://example.org", 101), ("https://example.org", 101), ("HTTPS://Example.ORG", 101),
    ("https://example.org:443", 101), ("http://example.org:80", 101), ("https://example.org:80", 403),
    ("http://example.org:8000", 403), ("http://example.org.evil.net", 403), ("http://evil-example.org", 403),
    ("http://sub.example.org", 403), ("null", 403), ("", 403), ("example.org", 403), ("file://example.org", 403),
    ("http://example.org/", 403), ("https://partner.net", 101), ("https://partner.net:8443", 403),
  ])
  func origins(origin: String, expected: Int) {
    let policy = OriginPolicy.sameHost(also: ["https://partner.net"])
    #expect(status(request(with: [HTTPField("Origin", origin)]), origins: policy) == expected)
    #expect(status(request(with: [HTTPField("Origin", origin)])) == 101)
  }

  @Test func originsOfOtherLoopbackPorts() {
    let policy = OriginPolicy.sameHost(also: [])
    #expect(policy.allows(origin: "http://127.0.0.1:8000", host: "127.0.0.1:8000"))
    #expect(!policy.allows(origin: "http://127.0.0.1:9000", host: "127.0.0.1:8000"))
    #expect(!policy.allows(origin: "http://127.0.0.1", host: "127.0.0.1:8000"))
    #expect(status(request(), origins: policy) == 101)
    let twice = request(with: [HTTPField("Origin", "http://example.org"), HTTPField("Origin", "http://example.org")])
    #expect(status(twice, origins: policy) == 400)
  }
}
