import Testing
import WebSocket

@Suite struct HTTPHeadParserTests {
  /// The parser when the head is whole, and what was left of the octets.
  private func parse(
    _ bytes: [UInt8], piece: Int = .max, maximum: Int = 1_000
  ) throws -> (parser: HTTPHeadParser, isWhole: Bool, rest: Int) {
    var parser = HTTPHeadParser(maximumSize: maximum)
    var offset = 0
    while offset < bytes.count {
      let end = offset + min(piece, bytes.count - offset)
      let (isWhole, left) = try bytes[offset..<end].withUnsafeBytes { raw in
        var input = raw
        let isWhole = try parser.append(&input)
        return (isWhole, input.count)
      }
      if isWhole { return (parser, true, bytes.count - end + left) }
      offset = end
    }
    return (parser, false, 0)
  }

  @Test(arguments: [1, 2, 3, 1_000])
  func aRequestInPieces(piece: Int) throws {
    let text = "GET /a?b HTTP/1.1\r\nHost:  x \r\nX-Empty:\r\n\r\nframes"
    let (parser, isWhole, rest) = try parse(Array(text.utf8), piece: piece)
    #expect(isWhole)
    #expect(rest == 6)
    #expect(
      try parser.request()
        == RequestHead(target: "/a?b", fields: [HTTPField("Host", "x"), HTTPField("X-Empty", "")]))
  }

  @Test func responses() throws {
    let good: [(String, Int, String)] = [
      ("HTTP/1.1 101 Switching Protocols\r\n\r\n", 101, "Switching Protocols"), ("HTTP/1.1 404 \r\n\r\n", 404, ""),
      ("HTTP/1.0 200\r\nA: b\r\n\r\n", 200, ""),
    ]
    for (text, status, reason) in good {
      let head = try parse(Array(text.utf8)).parser.response()
      #expect(head.status == status)
      #expect(head.reason == reason)
    }
    for text in [
      "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 99 x\r\n\r\n", "HTTP/1.1 600 x\r\n\r\n", "HTTP/1.1 2x0 x\r\n\r\n", "x\r\n\r\n",
    ] {
      #expect(throws: HTTPHeadError.badStartLine, "\(text)") { try parse(Array(text.utf8)).parser.response() }
    }
  }

  @Test(arguments: [
    "GET  / HTTP/1.1\r\n\r\n", "GET / HTTP/1.2\r\n\r\n", "GET /\r\n\r\n", "G(T / HTTP/1.1\r\n\r\n",
    " / HTTP/1.1\r\n\r\n",
    "GET /\u{7} HTTP/1.1\r\n\r\n", "GET / HTTP/1.1 \r\n\r\n",
  ])
  func badStartLines(text: String) {
    #expect(throws: HTTPHeadError.badStartLine) { try parse(Array(text.utf8)).parser.request() }
  }

  @Test(arguments: ["A", "A : b", ": b", " A: b", "A\u{0}: b", "A: b\u{1}c", "A: b\r\n folded"])
  func badFields(line: String) {
    let text = "GET / HTTP/1.1\r\n\(line)\r\n\r\n"
    #expect(throws: HTTPHeadError.badField) { try parse(Array(text.utf8)).parser.request() }
  }

  @Test func bareLineFeedsAreRefused() {
    #expect(throws: HTTPHeadError.badLineEnd) { try parse(Array("GET / HTTP/1.1\n\n".utf8)) }
  }

  @Test func sizeAtAndOnePastTheLimit() throws {
    let head = "GET / HTTP/1.1\r\nA: " + String(repeating: "x", count: 77) + "\r\n\r\n"
    #expect(head.utf8.count == 100)
    #expect(try parse(Array(head.utf8), maximum: 100).isWhole)
    #expect(throws: HTTPHeadError.tooLarge) { try parse(Array(head.utf8), maximum: 99) }
  }
}
