import WebSocket

/// Frames as either end gets them. The first octet sets the connection up as in `Tests/Corpus/frame_cases.py`.
enum FrameTarget {
  static let limits = Limits(
    maximumFrameSize: 1000, maximumMessageSize: 2000, maximumFragments: 8, maximumControlFramesPerSecond: 5,
    deflateBomb: 1500)

  static func run(_ input: [UInt8]) {
    guard let setup = input.first else { return }
    let octets = input.dropFirst()
    let role: Role = setup & 1 == 0 ? .server : .client
    let limits = setup & 64 != 0 ? limits : Limits()
    let deflate = setup & 2 != 0 ? agreement(setup) : nil
    let whole = End(role, limits: limits, deflate: deflate).receive(octets)
    check(whole, role, limits)
    // The same in pieces, whose sizes depend on the octets themselves.
    let pieces = End(role, limits: limits, deflate: deflate)
    var events: [Event] = []
    var rest = octets
    while let first = rest.first {
      let piece = rest.prefix(1 + Int(first) % 23)
      events += pieces.receive(piece)
      rest = rest.dropFirst(piece.count)
    }
    expect(events == whole, "pieces give \(last(events)), the whole \(last(whole))")
  }

  private static func last(_ events: [Event]) -> String { String("\(events.last as Any)".prefix(200)) }

  static func agreement(_ setup: UInt8) -> DeflateAgreement {
    let bits = [15, 12, 9, 8][Int(setup >> 3 & 3)]
    return DeflateAgreement(
      serverNoContextTakeover: setup & 4 != 0, clientNoContextTakeover: setup & 4 != 0, serverMaxWindowBits: bits,
      clientMaxWindowBits: bits)
  }

  private static func check(_ events: [Event], _ role: Role, _ limits: Limits) {
    for (index, event) in events.enumerated() {
      switch event {
      case .text(let bytes):
        expect(String(validating: bytes, as: UTF8.self) != nil, "text that is not UTF-8")
        expect(bytes.count <= limits.maximumMessageSize, "a message over the limit")
      case .binary(let bytes): expect(bytes.count <= limits.maximumMessageSize, "a message over the limit")
      case .ping(let bytes, let reply):
        expect(bytes.count <= 125, "a long ping")
        expect(answer(reply, to: role) == [.pong(bytes)], "a pong that its peer refuses")
      case .pong(let bytes): expect(bytes.count <= 125, "a long pong")
      case .close(let status, let reply):
        expect(index == events.count - 1, "something after the close")
        expect(status.code.isSendable || status.code == .noStatus, "a code that may not be sent")
        guard let reply, case .close(let told, _)? = answer(reply, to: role).first else {
          return expect(false, "a close that its peer refuses")
        }
        expect(told.code == status.code, "another code in the answer")
      case .failure(let failure, let notice):
        expect(index == events.count - 1, "something after the failure")
        expect(ProtocolFailure.all.contains(failure), "a failure that is not documented")
        guard let notice, case .close(let told, _)? = answer(notice, to: role).first else {
          return expect(false, "a notice that its peer refuses")
        }
        expect(told.code == failure.code, "another code in the notice")
      }
    }
  }

  /// What the other end makes of octets that this one sends.
  private static func answer(_ octets: [UInt8], to role: Role) -> [Event] {
    let events = End(role == .server ? .client : .server).receive(octets[...])
    if case .ping? = events.first { return [] }
    return events
  }
}
