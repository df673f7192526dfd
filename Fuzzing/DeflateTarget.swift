import WebSocket

/// permessage-deflate in both directions. The first octet sets the connection up as in `Tests/Corpus/frame_cases.py`;
/// the rest is cut into messages, each of which goes to the other end and back; and the rest as it is is inflated.
enum DeflateTarget {
  static func run(_ input: [UInt8]) {
    guard let setup = input.first else { return }
    let octets = input.dropFirst()
    let agreement = FrameTarget.agreement(setup)
    inflate(octets, agreement, setup)
    roundTrip(octets, agreement)
  }

  /// The octets as the payload of one compressed message, in one frame or in two.
  private static func inflate(_ octets: ArraySlice<UInt8>, _ agreement: DeflateAgreement, _ setup: UInt8) {
    guard octets.count <= 60_000 else { return }
    let limits = Limits(maximumMessageSize: 20_000, deflateBomb: 10_000)
    let opcode: Opcode = setup & 1 == 0 ? .text : .binary
    func frame(_ opcode: Opcode, _ payload: ArraySlice<UInt8>, isFinal: Bool) -> [UInt8] {
      let header = FrameHeader(
        opcode: opcode, isFinal: isFinal, isCompressed: opcode != .continuation, payloadLength: payload.count,
        maskingKey: MaskingKey(7))
      return payload.withUnsafeBytes { FrameEncoder.encode(header, payload: $0) }
    }
    let one = End(.server, limits: limits, deflate: agreement).receive(frame(opcode, octets, isFinal: true)[...])
    let middle = octets.startIndex + octets.count / 2
    let pieces =
      frame(opcode, octets[..<middle], isFinal: false) + frame(.continuation, octets[middle...], isFinal: true)
    let two = End(.server, limits: limits, deflate: agreement).receive(pieces[...])
    expect(one == two, "fragments give other events")
    for event in one {
      switch event {
      case .text(let bytes), .binary(let bytes): expect(bytes.count <= limits.deflateBomb, "a bomb")
      case .failure(let failure, _):
        expect([.invalidDeflate, .invalidUTF8, .deflateBomb].contains(failure), "\(failure)")
      default: expect(false, "another event")
      }
    }
  }

  private static func roundTrip(_ octets: ArraySlice<UInt8>, _ agreement: DeflateAgreement) {
    let pool = DeflatePool()
    let server = End(.server, deflate: agreement, pool: pool)
    let client = End(.client, deflate: agreement, pool: pool)
    var rest = octets
    while let first = rest.first {
      let message = Array(rest.prefix(1 + Int(first) * 3))
      rest = rest.dropFirst(message.count)
      guard let up = client.machine.send(.binary, message), let down = server.machine.send(.binary, message) else {
        return expect(false, "an open end does not send")
      }
      expect(server.receive(up[...]) == [.binary(message)], "the server reads another message")
      expect(client.receive(down[...]) == [.binary(message)], "the client reads another message")
    }
  }
}
