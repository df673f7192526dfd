import NIOCore
import TLS
import TLSServer
import Testing

/// Two ends of a connection, with nothing but buffers between them.
struct Pair {
  let client: TLSSession
  let server: TLSSession

  init(host: String = "localhost", client context: TLSContext? = nil) async throws {
    let trusting = try await TestCertificate.clientContext()
    client = try TLSSession(context ?? trusting, role: .client, host: host)
    server = try TLSSession(try TestCertificate.serverContext(), role: .server, host: nil)
  }

  /// Both handshakes to their ends, in pieces of `size` octets at most.
  func shakeHands(pieces size: Int = .max) throws {
    var isDone = (client: false, server: false)
    for _ in 0..<10 where !(isDone.client && isDone.server) {
      isDone.client = try client.handshake()
      try move(from: client, to: server, pieces: size) { isDone.server = try server.handshake() }
      try move(from: server, to: client, pieces: size) { isDone.client = try client.handshake() }
    }
    #expect(isDone.client && isDone.server)
  }

  func move(from: TLSSession, to: TLSSession, pieces size: Int, then: () throws -> Void = {}) throws {
    while var output = from.takeOutput() {
      while let piece = output.readSlice(length: min(size, output.readableBytes)), piece.readableBytes > 0 {
        try to.receive(piece)
        try then()
      }
    }
  }
}

@Suite struct SessionTests {
  @Test(arguments: [1, 7, 1000, Int.max]) func carriesOctets(pieces: Int) async throws {
    let pair = try await Pair()
    try pair.shakeHands(pieces: pieces)
    let sent = ByteBuffer(bytes: (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
    for (from, to) in [(pair.client, pair.server), (pair.server, pair.client)] {
      try from.write(sent)
      var got = ByteBuffer()
      try pair.move(from: from, to: to, pieces: pieces) {
        while try to.read(into: &got) == .bytes {}
      }
      #expect(got == sent)
    }
  }

  @Test(arguments: ["localhost", "LOCALHOST", "127.0.0.1"]) func namesOfTheCertificate(host: String) async throws {
    try await Pair(host: host).shakeHands()
  }

  @Test(arguments: ["example.org", "localhost.example.org", "127.0.0.2", "::1", "local"])
  func otherHosts(host: String) async throws {
    let pair = try await Pair(host: host)
    do {
      try pair.shakeHands()
      Issue.record("trusted for \(host)")
    } catch let TLSFailure.certificate(reason) {
      #expect(reason.contains("mismatch"))
    }
  }

  @Test func anAuthorityNobodyTrusts() async throws {
    let pair = try await Pair(client: try TLSContext())
    #expect(throws: TLSFailure.certificate("self-signed certificate")) { try pair.shakeHands() }
  }

  @Test func aFileOfAuthoritiesThatIsNotThere() {
    #expect(throws: TLSFailure.self) { try TLSContext(authorities: "/nowhere/authorities.pem") }
  }

  @Test func noTLS() async throws {
    let pair = try await Pair()
    _ = try pair.client.handshake()
    try pair.client.receive(ByteBuffer(string: "HTTP/1.1 400 Bad Request\r\n\r\n"))
    do {
      _ = try pair.client.handshake()
      Issue.record("taken")
    } catch {
      guard case .protocolError = error else { _ = Issue.record("\(error)"); return }
    }
  }

  /// Every octet of a record counts: whichever is changed, nothing of it is taken.
  @Test func aChangedRecordIsRefused() async throws {
    var offset = 0
    var length = 1
    while offset < length {
      let pair = try await Pair()
      try pair.shakeHands()
      try pair.server.write(ByteBuffer(string: "secret"))
      let sent = try #require(pair.server.takeOutput())
      length = sent.readableBytes
      #expect(try octetsTaken(by: pair.client, of: sent, changedAt: offset) == 0)
      offset += 1
    }
    #expect(length > 6)
  }

  private func octetsTaken(by session: TLSSession, of record: ByteBuffer, changedAt offset: Int) throws -> Int {
    var octets = Array(record.readableBytesView)
    octets[offset] ^= 1
    try session.receive(ByteBuffer(bytes: octets))
    var got = ByteBuffer()
    // A length that grew waits for the rest; all else is an error at once.
    let reading = try? session.read(into: &got)
    #expect(reading != .bytes)
    return got.readableBytes
  }

  @Test func theEndIsTold() async throws {
    let pair = try await Pair()
    try pair.shakeHands()
    try pair.server.write(ByteBuffer(string: "last"))
    pair.server.shutdown()
    var got = ByteBuffer()
    while let output = pair.server.takeOutput() { try pair.client.receive(output) }
    #expect(try pair.client.read(into: &got) == .bytes)
    #expect(try pair.client.read(into: &got) == .closed)
    #expect(String(buffer: got) == "last")
  }
}
