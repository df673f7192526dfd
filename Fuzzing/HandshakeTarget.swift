import WebSocket

/// Opening handshakes: octets that begin like an answer go to a client, all others to a server.
enum HandshakeTarget {
  static func run(_ input: [UInt8]) {
    if input.starts(with: Array("HTTP/".utf8)) { answer(input) } else { request(input) }
  }

  private static func head<Value>(_ input: [UInt8], _ read: (HTTPHeadParser) throws -> Value) -> Value? {
    /// Whole, and octet by octet.
    func parse(by size: Int) throws -> (Value?, Int) {
      var parser = HTTPHeadParser(maximumSize: 4096)
      var taken = 0
      var rest = input[...]
      while !rest.isEmpty {
        let piece = rest.prefix(size)
        rest = rest.dropFirst(piece.count)
        let isWhole = try piece.withUnsafeBytes { raw in
          var octets = raw
          defer { taken += raw.count - octets.count }
          return try parser.append(&octets)
        }
        if isWhole { return (try read(parser), taken) }
      }
      return (nil, taken)
    }
    do {
      let (value, taken) = try parse(by: max(input.count, 1))
      let (other, takenByOne) = try parse(by: 1)
      expect((value == nil) == (other == nil) && taken == takenByOne, "pieces give another head")
      expect(taken <= 4096, "a head over the limit")
      return value
    } catch {
      expect(error is HTTPHeadError, "an error that is not documented")
      return nil
    }
  }

  private static func request(_ input: [UInt8]) {
    guard let head = head(input, { try $0.request() }) else { return }
    expect(head.fields.allSatisfy(\.isWellFormed), "a malformed field")
    if let host = head.fields.first(where: { $0.name.lowercased() == "host" })?.value { _ = HostField(host) }
    do throws(HandshakeRejection) {
      let handshake = try ServerHandshake(
        head, deflate: DeflateConfiguration(serverContextTakeover: true, clientContextTakeover: true),
        origins: .sameHost(also: ["https://partner.example"]))
      let chosen = handshake.requestedSubprotocols.first
      let response = handshake.response(subprotocol: chosen)
      expect(response.fields.allSatisfy(\.isWellFormed), "a malformed answer")
      // The answer can be read again.
      var parser = HTTPHeadParser()
      let isWhole = response.encoded.withUnsafeBytes { raw in
        var octets = raw
        return (try? parser.append(&octets)) ?? false
      }
      expect(isWhole && (try? parser.response()) != nil, "an answer that cannot be read")
    } catch {
      expect([400, 403, 426].contains(error.status), "status \(error.status)")
      expect(!error.reason.isEmpty && error.fields.allSatisfy(\.isWellFormed), "a malformed refusal")
    }
  }

  private static func answer(_ input: [UInt8]) {
    guard let head = head(input, { try $0.response() }) else { return }
    for compresses in [false, true] {
      guard
        let handshake = try? ClientHandshake(
          host: "server.example.com", target: "/chat", nonce: Array("the sample nonce".utf8),
          subprotocols: ["chat", "superchat"],
          deflate: compresses ? DeflateConfiguration(serverContextTakeover: true) : nil)
      else { return expect(false, "the request can't be made") }
      do throws(HandshakeFailure) {
        let agreement = try handshake.verify(head)
        expect(head.status == 101, "opened by \(head.status)")
        expect(agreement.subprotocol.map { ["chat", "superchat"].contains($0) } ?? true, "a foreign subprotocol")
        expect(compresses || agreement.deflate == nil, "compression that was not offered")
        if let deflate = agreement.deflate {
          expect((8...15).contains(deflate.serverMaxWindowBits), "a window of \(deflate.serverMaxWindowBits)")
          expect((8...15).contains(deflate.clientMaxWindowBits), "a window of \(deflate.clientMaxWindowBits)")
        }
      } catch {
        expect(!error.description.isEmpty, "a failure without words")
      }
    }
  }
}
